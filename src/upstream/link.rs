//! Connects to an upstream: TCP, and TLS over it where its URL is `https`.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
#[cfg(feature = "tls")]
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tower_service::Service;

use super::Upstream;
use crate::tls::{self, Stream};

/// Keep-alive probes of TCP: a machine that vanished is noticed although nothing is sent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// What makes connections to one upstream.
#[derive(Clone, Debug)]
pub(super) struct Link {
    upstream: Arc<Upstream>,
    tcp: HttpConnector,
    /// For TCP, and for TLS over it.
    limit: Duration,
}

impl Link {
    pub(super) fn new(upstream: Arc<Upstream>, limit: Duration) -> Link {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_connect_timeout(Some(limit));
        Link { upstream, tcp, limit }
    }
}

impl Service<Uri> for Link {
    type Response = TokioIo<Stream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (connecting, upstream, limit) = (self.tcp.call(target), self.upstream.clone(), self.limit);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let Some(peer) = upstream.peer() else { return Ok(TokioIo::new(tls::plain(stream))) };
            let secured = tokio::time::timeout(limit, peer.connect(stream)).await;
            Ok(TokioIo::new(secured.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??))
        })
    }
}

// Without TLS it is hyper-util's own.
#[cfg(feature = "tls")]
impl Connection for Stream {
    fn connected(&self) -> Connected {
        tls::socket(self).connected()
    }
}
