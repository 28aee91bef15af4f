//! Relays that measure nothing, to compare the sidecar with.

use std::{io, net::SocketAddr};

use http::{Request, Uri, uri::Scheme};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::{TcpListener, TcpStream};

/// Forwards HTTP with hyper's server and hyper-util's client, whose connections have a task of their own, as in the
/// sidecar. It changes nothing but the target of a request.
pub(crate) async fn hyper(listener: TcpListener, upstream: SocketAddr) -> io::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let stream = accepted(&listener).await?;
        let client = client.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let mut target = std::mem::take(request.uri_mut()).into_parts();
            target.scheme = Some(Scheme::HTTP);
            target.authority = upstream.to_string().parse().ok();
            *request.uri_mut() = Uri::from_parts(target).unwrap_or_default();
            client.request(request)
        });
        // A connection that fails ends alone.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Copies the bytes of each connection: the least that a relay can do.
pub(crate) async fn copy(listener: TcpListener, upstream: SocketAddr) -> io::Result<()> {
    loop {
        let mut client = accepted(&listener).await?;
        tokio::spawn(async move {
            let mut upstream = TcpStream::connect(upstream).await?;
            upstream.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut upstream).await
        });
    }
}

async fn accepted(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
