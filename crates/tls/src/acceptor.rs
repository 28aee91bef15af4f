//! The server side of a connection.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{HTTP_1_1, Identity, Stream, plain, provider};

/// Adds TLS to accepted connections, or leaves them plain. Cheap to clone: a renewal applies to all clones.
#[derive(Clone)]
pub struct Acceptor(Option<Arc<RwLock<Arc<ServerConfig>>>>);

impl Acceptor {
    /// Creates an acceptor that presents this certificate. `None`: connections stay plain.
    pub fn new(identity: Option<&Identity>) -> Acceptor {
        Acceptor(identity.map(|identity| Arc::new(RwLock::new(config(identity)))))
    }

    /// Whether connections use TLS.
    pub fn is_secured(&self) -> bool {
        self.0.is_some()
    }

    /// Presents another certificate from the next connection on. Sessions of the old certificate are not resumed.
    /// This cannot turn TLS on or off.
    pub fn renew(&self, identity: Option<&Identity>) {
        if let (Some(current), Some(identity)) = (&self.0, identity) {
            *current.write().unwrap_or_else(PoisonError::into_inner) = config(identity);
        }
    }

    /// Performs the TLS handshake within `limit`. If connections stay plain, the future is ready at once.
    ///
    /// # Errors
    /// The handshake failed, or took longer than `limit`.
    pub async fn accept(&self, stream: TcpStream, limit: Duration) -> io::Result<Stream> {
        let Some(current) = &self.0 else { return Ok(plain(stream)) };
        let config = current.read().unwrap_or_else(PoisonError::into_inner).clone();
        // The future is boxed, because the state of a handshake is large and a plain connection does not need it.
        let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
        let secured = timeout(limit, handshake).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Stream::Secured(Box::new(secured.into())))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("is_secured", &self.is_secured()).finish_non_exhaustive()
    }
}

fn config(identity: &Identity) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = builder
        .expect("the provider speaks TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Arc::new(config)
}
