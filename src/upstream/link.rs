//! Connects to an upstream: DNS lookup, TCP, and TLS if its URL is `https`.

pub(super) mod lookup;

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
#[cfg(not(feature = "tls"))]
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;

use super::{Upstream, socket::Socket};
use crate::tls::{self, Stream};
use lookup::Lookup;

/// The time before TCP keep-alive probes, which detect a vanished machine while nothing is sent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The time limits of an upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLimits {
    /// For the DNS lookup, the TCP connection and the TLS handshake together.
    pub(super) connect: Duration,
    /// For accepting a part of a request.
    pub(super) upload: Duration,
}

/// Makes connections to one upstream.
#[derive(Clone, Debug)]
pub(super) struct Link<R = Lookup> {
    upstream: Arc<Upstream>,
    tcp: HttpConnector<R>,
    limits: LinkLimits,
}

impl Link {
    pub(super) fn new(upstream: Arc<Upstream>, limits: LinkLimits) -> Link {
        Link::with(upstream, limits, Lookup::new())
    }
}

impl<R> Link<R> {
    /// A link that looks names up with `resolver`.
    fn with(upstream: Arc<Upstream>, limits: LinkLimits, resolver: R) -> Link<R> {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        // Several addresses share this time.
        tcp.set_connect_timeout(Some(limits.connect));
        Link { upstream, tcp, limits }
    }
}

impl<R> Service<Uri> for Link<R>
where
    HttpConnector<R>: Service<Uri, Response = TokioIo<TcpStream>, Future: Send + 'static>,
    <HttpConnector<R> as Service<Uri>>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = TokioIo<Stream<Socket>>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (connecting, upstream, limits) = (self.tcp.call(target), self.upstream.clone(), self.limits);
        let connected = async move {
            let stream = connecting.await.map_err(Into::into)?.into_inner();
            let socket = Socket::new(stream, limits.upload);
            Ok(match upstream.peer() {
                Some(peer) => peer.connect(socket).await?,
                None => tls::plain(socket),
            })
        };
        Box::pin(async move {
            let connected = timeout(limits.connect, connected).await;
            connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(TokioIo::new)
        })
    }
}

// With the feature `tls`, the connection is that of `streamgauge_tls`, which implements `Connection` itself.
#[cfg(not(feature = "tls"))]
impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::SocketAddr};

    use hyper_util::client::legacy::connect::dns::Name;
    use tokio::time::Instant;

    use super::*;
    use crate::upstream::{Config, UpstreamConfig, Upstreams};

    /// A DNS server that does not answer.
    #[derive(Clone)]
    struct Silent;

    impl Service<Name> for Silent {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            Box::pin(pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dns_lookup_without_answer_obeys_connect_timeout() {
        let url = "http://ollama.example:11434";
        let upstreams = vec![UpstreamConfig::new("a", url.parse().unwrap())];
        let upstreams = Upstreams::new(&Config { upstreams, ..Config::default() }).unwrap();
        let limits = LinkLimits { connect: Duration::from_secs(3), upload: Duration::from_secs(60) };
        let began = Instant::now();
        let connecting = Link::with(upstreams.all()[0].clone(), limits, Silent).call(url.parse().unwrap());
        let failed = timeout(Duration::from_secs(60), connecting).await.expect("a limit").unwrap_err();
        assert_eq!(failed.downcast::<io::Error>().unwrap().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), limits.connect);
    }
}
