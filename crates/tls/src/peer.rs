//! An upstream that uses TLS: its name, and how it is verified.

use std::{
    io,
    sync::{PoisonError, RwLock},
};

use rustls::pki_types::{IpAddr, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{Stream, Trust, Unusable};

/// The server side of connections to an `https` URL.
#[derive(Debug)]
pub struct Peer {
    name: ServerName<'static>,
    trust: RwLock<Trust>,
}

impl Peer {
    /// Creates the peer for the server at this URL, verified by `trust`. `None`: verified by the system's
    /// authorities.
    ///
    /// # Errors
    /// The URL's host cannot have a certificate, or the system has no authorities that can be read.
    pub fn new(url: &Url, trust: Option<&Trust>) -> Result<Peer, Unusable> {
        let name = match url.host() {
            Some(Host::Ipv4(ip)) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V4(ip))),
            Some(Host::Ipv6(ip)) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V6(ip))),
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).map_err(|_| Unusable::Name(name.to_owned()))?
            }
            None => return Err(Unusable::Name(String::new())),
        };
        Ok(Peer { name, trust: RwLock::new(or_system(trust)?) })
    }

    /// Returns how the server is verified now.
    pub fn trust(&self) -> Trust {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Verifies the server by `trust` from the next connection on. `None`: verified by the system's authorities.
    ///
    /// # Errors
    /// The system has no authorities that can be read.
    pub fn renew(&self, trust: Option<&Trust>) -> Result<(), Unusable> {
        let trust = or_system(trust)?;
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = trust;
        Ok(())
    }

    /// Performs the TLS handshake over a connection to the server.
    ///
    /// # Errors
    /// The server's certificate cannot be verified, or the server does not speak TLS.
    pub async fn connect<S>(&self, stream: S) -> io::Result<Stream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(self.trust().config().clone());
        let secured = connector.connect(self.name.clone(), stream).await?;
        Ok(Stream::Secured(Box::new(secured.into())))
    }
}

fn or_system(trust: Option<&Trust>) -> Result<Trust, Unusable> {
    trust.cloned().map_or_else(|| Trust::system(None), Ok)
}
