//! The pool of connections to one upstream. Connections are reused until the addresses of its name change.

use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    Upstream,
    link::{Link, LinkLimits},
};

/// How long an idle connection is kept. Ollama itself never closes idle connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most idle connections.
const IDLE_CONNECTIONS: usize = 256;
/// The longest head of a response, and the most that is read of a body at once, in bytes.
pub(super) const MAX_HEAD: usize = 256 << 10;
/// The most header fields of a response. hyper's default is 100.
pub(super) const MAX_FIELDS: usize = 256;

type Connections<B> = Client<Link, B>;

/// The HTTP/1.1 connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool<B> {
    upstream: Arc<Upstream>,
    limits: LinkLimits,
    current: RwLock<Current<B>>,
}

#[derive(Debug)]
struct Current<B> {
    /// The count of address changes when the first of these connections was made.
    moves: u64,
    connections: Connections<B>,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    pub(super) fn new(upstream: Arc<Upstream>, limits: LinkLimits) -> Pool<B> {
        let current = RwLock::new(Current::new(&upstream, upstream.moves(), limits));
        Pool { upstream, limits, current }
    }

    /// The connections to the present addresses of the upstream. Older connections finish their requests and get no
    /// new ones.
    pub(super) fn connections(&self) -> Connections<B> {
        let moves = self.upstream.moves();
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.moves == moves {
                return current.connections.clone();
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have replaced the connections in between.
        if current.moves != moves {
            *current = Current::new(&self.upstream, moves, self.limits);
        }
        current.connections.clone()
    }
}

impl<B> Current<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn new(upstream: &Arc<Upstream>, moves: u64, limits: LinkLimits) -> Current<B> {
        let connections = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_preserve_header_case(true)
            .http1_max_buf_size(MAX_HEAD)
            .http1_max_headers(MAX_FIELDS)
            // The field Host is set for the upstream already.
            .set_host(false)
            // If a pooled connection turns out to be closed, retry once, but only a request that was never written.
            .retry_canceled_requests(true)
            .build(Link::new(upstream.clone(), limits));
        Current { moves, connections }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, io::Write, sync::mpsc, thread};

    use http::Request;
    use http_body_util::{BodyExt, Empty, Full};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::upstream::{Config, UpstreamConfig, Upstreams};

    const LIMITS: LinkLimits =
        LinkLimits { connect: Duration::from_secs(5), upload: Duration::from_secs(60) };

    fn upstream(url: &str) -> Arc<Upstream> {
        let upstreams = vec![UpstreamConfig::new("a", url.parse().unwrap())];
        Upstreams::new(&Config { upstreams, ..Config::default() }).unwrap().all()[0].clone()
    }

    /// Answers one request per connection and closes the connection when told to, without announcing it. Each
    /// answer is the number of the connection.
    fn answers_once(
        listener: std::net::TcpListener,
        close: mpsc::Receiver<bool>,
        closed: mpsc::SyncSender<()>,
    ) {
        for (number, stream) in (1..).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"body") {
                let mut piece = [0; 1024];
                match stream.read(&mut piece).unwrap() {
                    0 => return,
                    count => asked.extend_from_slice(&piece[..count]),
                }
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{number}", number.to_string().len());
            stream.write_all(answer.as_bytes()).unwrap();
            let Ok(by_reset) = close.recv() else { return };
            if by_reset {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(stream);
            closed.send(()).unwrap();
        }
    }

    /// The runtime learns of a closed connection in its next turn only, and by then the request would be sent.
    #[tokio::test]
    async fn pooled_connection_that_has_just_ended_is_not_used() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ((close, when), (done, closed)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
        let server = thread::spawn(move || answers_once(listener, when, done));
        let pool = Pool::<Full<Bytes>>::new(upstream(&url), LIMITS);
        for number in 1..=20 {
            let request =
                Request::post(format!("{url}/")).header("host", "h").body(Full::from("body")).unwrap();
            let answer = pool.connections().request(request).await.unwrap();
            let answer = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(answer, number.to_string(), "each is asked once");
            // The connection is idle by then.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            close.send(number % 2 == 0).unwrap();
            closed.recv().unwrap();
        }
        drop(close);
        drop(std::net::TcpStream::connect(url.trim_start_matches("http://")));
        server.join().unwrap();
    }

    #[tokio::test]
    async fn pooled_connection_is_reused_until_dns_change() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Each answer is the number of the connection.
        tokio::spawn(async move {
            for number in 1.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut head = [0; 1024];
                    while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        let upstream = upstream(&url);
        let pool = Pool::<Empty<Bytes>>::new(upstream.clone(), LIMITS);
        let ask = async || {
            let request = Request::get(format!("{url}/")).header("host", "h").body(Empty::new()).unwrap();
            let answer = pool.connections().request(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        };
        assert_eq!((ask().await, ask().await), ("1".into(), "1".into()));
        upstream.whereabouts.moved();
        assert_eq!((ask().await, ask().await), ("2".into(), "2".into()));
    }
}
