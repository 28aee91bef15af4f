//! Streams and short requests through a relay, over sockets, with client, relay and upstream on one thread. The
//! client asks for a chunk when it has the last one, so that each wake-up has one chunk.

use std::{net::SocketAddr, sync::Arc, thread, time::Duration};

use prometheus::Registry;
use streamgauge::{
    collector::{self, runtime::enable_histograms},
    request_log::Logged,
    sidecar::{Config, Sidecar},
    traces,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle},
    sync::Notify,
};

use crate::{bare, scenario::RECORD};

/// Longer than the time for which the sidecar gathers records, so that each chunk is written alone.
const PAUSE: Duration = Duration::from_millis(2);
/// The prompt that the upstream does not answer.
const SILENT: &str = "say nothing";
/// No reading of a collector comes within a run.
const NEVER: Duration = Duration::from_secs(3600);

/// The relay between the client and the upstream.
#[derive(Clone, Copy)]
pub(crate) enum Relay {
    /// Nothing.
    Direct,
    /// A copy of the bytes.
    Copy,
    /// hyper alone.
    Hyper,
    /// The sidecar without the measurement of tasks and runtimes.
    Sidecar,
    /// The sidecar as the program starts it, on one of the connections whose tasks are not measured.
    Instrumented,
    /// The same with a line in the request log and a trace for each request. The export of the traces is left out: it is
    /// the work of a runtime that nothing polls.
    Traced,
}

/// Signals between the client and the upstream that do not pass the relay.
#[derive(Debug, Default)]
struct Signals {
    /// The upstream sends the next record.
    next: Notify,
    /// The upstream has read a request that it never answers.
    silent: Notify,
}

/// Runs work with the address of a relay.
fn with<F: Future<Output = ()>>(relay: Relay, work: impl FnOnce(SocketAddr, Arc<Signals>) -> F) {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    if matches!(relay, Relay::Instrumented | Relay::Traced) {
        enable_histograms(&mut builder);
    }
    let runtime = builder.build().expect("a runtime");
    runtime.block_on(async {
        let signals = Arc::new(Signals::default());
        let upstream = serve_upstream(signals.clone()).await;
        let addr = match relay {
            Relay::Direct => upstream,
            Relay::Copy => {
                let (listener, addr) = listen().await;
                tokio::spawn(bare::copy(listener, upstream));
                addr
            }
            Relay::Hyper => {
                let (listener, addr) = listen().await;
                tokio::spawn(bare::hyper(listener, upstream));
                addr
            }
            Relay::Sidecar => sidecar(upstream, None, false).await,
            Relay::Instrumented => sidecar(upstream, Some(NEVER), false).await,
            Relay::Traced => sidecar(upstream, Some(NEVER), true).await,
        };
        work(addr, signals).await;
    });
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    (listener, addr)
}

async fn sidecar(upstream: SocketAddr, tasks: Option<Duration>, is_traced: bool) -> SocketAddr {
    let mut config = Config::default();
    config.proxy.listen.set_port(0);
    config.admin.listen.set_port(0);
    config.upstream.upstreams[0].url = format!("http://{upstream}").parse().expect("a URL");
    config.collectors =
        collector::Config { gpu: None, models: None, runtime: tasks, lag: None, process: None };
    if is_traced {
        config.request_log.requests = Logged::All;
        let mut traces = traces::Config::new("http://127.0.0.1/v1/traces".parse().expect("a URL"));
        traces.sample_ratio = 1.0;
        config.traces = Some(traces);
    }
    let builder = Sidecar::builder().config(config).registry(Registry::new()).request_log(std::io::sink());
    // The probes and the history of the page come every few seconds, and are not part of a chunk: nothing polls their
    // runtime.
    let never = Box::leak(Box::new(Builder::new_current_thread().enable_all().build().expect("a runtime")));
    // As in the program, the connections are on a runtime that the sidecar is given.
    let builder = builder.runtimes([Handle::current()]).admin_runtime(never.handle().clone());
    let bound = builder.bind().await.expect("a sidecar");
    let addr = bound.proxy_addr();
    tokio::spawn(bound.run(std::future::pending()));
    // The tasks of the first connection are measured, those of the next ones are not.
    drop(TcpStream::connect(addr).await);
    addr
}

/// An Ollama that sends one record after each notification.
async fn serve_upstream(signals: Arc<Signals>) -> SocketAddr {
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(answer(stream, signals.clone()));
        }
    });
    addr
}

async fn answer(mut stream: TcpStream, signals: Arc<Signals>) {
    let mut head = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut head).await {
        let head = &head[..length];
        if head.starts_with(b"GET") {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"version\":\"0.12.6\"}";
            stream.write_all(answer).await.expect("a reader");
            continue;
        }
        if head.windows(SILENT.len()).any(|part| part == SILENT.as_bytes()) {
            signals.silent.notify_one();
            continue;
        }
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(&[head, &chunk(RECORD)[..]].concat()).await.expect("a reader");
        let chunk = chunk(RECORD);
        loop {
            signals.next.notified().await;
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
}

fn chunk(record: &[u8]) -> Vec<u8> {
    [format!("{:X}\r\n", record.len()).as_bytes(), record, b"\r\n"].concat()
}

/// A client that has asked for a stream.
async fn ask(addr: SocketAddr, prompt: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.expect("a listener");
    let body = format!(r#"{{"model":"llama3.2","prompt":"{prompt}"}}"#);
    let head = format!("POST /api/generate HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all((head + &body).as_bytes()).await.expect("a relay");
    client
}

/// A client whose stream has begun.
async fn begin(addr: SocketAddr) -> TcpStream {
    let mut client = ask(addr, "why is the sky blue").await;
    let mut got = Vec::new();
    while !got.ends_with(&chunk(RECORD)) {
        assert_ne!(client.read_buf(&mut got).await.expect("a response"), 0, "{}", got.escape_ascii());
    }
    client
}

/// The chunks of one stream.
pub(crate) fn chunks(relay: Relay, times: u64) {
    with(relay, async |addr, signals| {
        let mut client = begin(addr).await;
        let mut got = vec![0; chunk(RECORD).len()];
        for _ in 0..times {
            thread::sleep(PAUSE);
            signals.next.notify_one();
            client.read_exact(&mut got).await.expect("a chunk");
        }
        assert_eq!(got, chunk(RECORD));
    });
}

/// Short requests on one connection.
pub(crate) fn requests(relay: Relay, times: u64) {
    with(relay, async |addr, _| {
        let mut client = TcpStream::connect(addr).await.expect("a listener");
        let mut got = Vec::with_capacity(4096);
        for _ in 0..times {
            client.write_all(b"GET /api/version HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a relay");
            got.clear();
            while !got.ends_with(b"\"}") {
                assert_ne!(client.read_buf(&mut got).await.expect("a response"), 0);
            }
        }
    });
}

/// The memory of streams that run at the same time, when this many have begun. The process ends here.
pub(crate) fn streams(relay: Relay, times: u64) {
    with(relay, async |addr, _| {
        let mut clients = Vec::new();
        for _ in 0..times {
            clients.push(begin(addr).await);
        }
        std::process::exit(0);
    });
}

/// The memory of requests that wait for their responses at the same time, when the upstream has read this many. The
/// process ends here.
pub(crate) fn waiting(relay: Relay, times: u64) {
    with(relay, async |addr, signals| {
        let mut clients = Vec::new();
        for _ in 0..times {
            clients.push(ask(addr, SILENT).await);
            signals.silent.notified().await;
        }
        std::process::exit(0);
    });
}
