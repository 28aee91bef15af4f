//! A running sidecar, an upstream that sends what a test writes, and a raw client.

use std::{net::SocketAddr, time::Duration};

use prometheus::{Registry, TextEncoder};
pub(crate) use streamgauge::upstream::StreamLimit;
use streamgauge::{
    sidecar::{Bound, Builder, Config},
    upstream::{Policy, UpstreamConfig},
};
use streamgauge_simulate::{self as simulate, Simulator};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// Longer than any step of a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `future`, which must complete in time.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("it never happens")
}

pub(crate) struct Sidecar {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) registry: Registry,
    stop: Option<oneshot::Sender<()>>,
    run: JoinHandle<()>,
}

/// Free ports and one upstream.
pub(crate) fn config(upstream: SocketAddr) -> Config {
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    config.upstream.upstreams =
        vec![UpstreamConfig::new("gpu0", format!("http://{upstream}").parse().unwrap())];
    config.drain_timeout = PATIENCE;
    config
}

pub(crate) async fn sidecar(config: Config) -> Sidecar {
    built(streamgauge::sidecar::Sidecar::builder().config(config)).await
}

pub(crate) async fn built(builder: Builder) -> Sidecar {
    run(builder.bind().await.unwrap())
}

pub(crate) fn run(bound: Bound) -> Sidecar {
    let (proxy, admin, registry) = (bound.proxy_addr(), bound.admin_addr(), bound.registry().clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(bound.run(async {
        let _ = stopped.await;
    }));
    Sidecar { proxy, admin, registry, stop: Some(stop), run }
}

impl Sidecar {
    pub(crate) async fn connect(&self) -> Client {
        Client { stream: soon(TcpStream::connect(self.proxy)).await.unwrap() }
    }

    /// Sends a request on a new connection.
    pub(crate) async fn send(&self, request: &str) -> Client {
        let mut client = self.connect().await;
        client.write(request).await;
        client
    }

    /// All bytes that come back for a request until the connection closes.
    pub(crate) async fn exchange(&self, request: &str) -> String {
        self.send(request).await.rest().await
    }

    /// The value of a series, with its labels in any order; 0 if there is none.
    pub(crate) fn value(&self, series: &str) -> f64 {
        let series = sorted(&format!("streamgauge_{series}"));
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        lines.find(|(name, _)| sorted(name) == series).map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    /// Waits until a series has a value, since outcomes are recorded when guards are dropped.
    pub(crate) async fn until(&self, series: &str, value: f64) {
        self.until_it(series, |now| (now - value).abs() <= 1e-9, &value.to_string()).await;
    }

    /// Waits until a series is above 0.
    pub(crate) async fn until_some(&self, series: &str) {
        self.until_it(series, |now| now > 0.0, "value above 0").await;
    }

    async fn until_it(&self, series: &str, will_do: impl Fn(f64) -> bool, wanted: &str) {
        let reached = async {
            while !will_do(self.value(series)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let text = || TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("no {wanted} of {series} in\n{}", text()));
    }

    /// Requests a drain and does not wait.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Drops the sidecar while it runs.
    pub(crate) async fn aborted(self) {
        self.run.abort();
        assert!(soon(self.run).await.is_err_and(|ended| ended.is_cancelled()));
    }

    /// Waits for the end of the sidecar.
    pub(crate) async fn ended(self) {
        soon(self.run).await.unwrap();
    }

    /// Requests a page of the admin address. Returns status and body.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.admin)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// A series with its labels in order.
fn sorted(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) async fn write(&mut self, text: &str) {
        soon(self.stream.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads until the received bytes end with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let count = soon(self.stream.read(&mut byte)).await.unwrap();
            assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        String::from_utf8(seen).unwrap()
    }

    /// Reads to the end of the connection.
    pub(crate) async fn rest(mut self) -> String {
        let mut seen = Vec::new();
        soon(self.stream.read_to_end(&mut seen)).await.unwrap();
        String::from_utf8(seen).unwrap()
    }
}

/// An upstream that sends exactly what a test writes. Probes of the sidecar are answered automatically.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    requests: mpsc::Receiver<Asked>,
    accepts: JoinHandle<()>,
}

/// A request that arrived, and its connection for the response.
pub(crate) struct Asked {
    /// The head with its empty line.
    pub(crate) head: String,
    pub(crate) stream: TcpStream,
}

pub(crate) async fn upstream() -> Upstream {
    listing("{}").await
}

/// The same with this response to `GET /api/tags`.
pub(crate) async fn listing(tags: &'static str) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (seen, requests) = mpsc::channel(64);
    let accepts = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                if let Some(asked) = Asked::read_beside(stream, tags).await {
                    let _ = seen.send(asked).await;
                }
            });
        }
    });
    Upstream { addr, requests, accepts }
}

impl Upstream {
    pub(crate) async fn asked(&mut self) -> Asked {
        soon(self.requests.recv()).await.expect("the upstream runs")
    }

    /// From now on, refuses connections.
    pub(crate) async fn refuse(&mut self) {
        self.accepts.abort();
        assert!(soon(&mut self.accepts).await.is_err_and(|ended| ended.is_cancelled()));
    }

    /// No request has come, and none comes now.
    pub(crate) fn was_not_asked(&mut self) {
        assert!(self.requests.try_recv().is_err());
    }
}

impl Asked {
    /// The next request of a connection; `None` if it closes or is a probe.
    pub(crate) async fn read(stream: TcpStream) -> Option<Asked> {
        Asked::read_beside(stream, "{}").await
    }

    async fn read_beside(mut stream: TcpStream, tags: &str) -> Option<Asked> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await.ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        if ["version", "tags", "ps"].iter().any(|name| head.starts_with(&format!("GET /api/{name} "))) {
            let body = if head.starts_with("GET /api/tags ") { tags } else { "{}" };
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
            return None;
        }
        Some(Asked { head, stream })
    }

    pub(crate) async fn body(&mut self, length: usize) -> String {
        let mut body = vec![0; length];
        soon(self.stream.read_exact(&mut body)).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    pub(crate) async fn write(&mut self, text: &str) {
        soon(self.stream.write_all(text.as_bytes())).await.unwrap();
    }

    /// Waits until the sidecar closes the connection.
    pub(crate) async fn is_left(&mut self) {
        let mut rest = Vec::new();
        // A reset counts as well.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
    }
}

/// A chunk of a chunked body.
pub(crate) fn chunk(data: &str) -> String {
    format!("{:X}\r\n{data}\r\n", data.len())
}

/// The head and the body that a client received, without the chunks.
pub(crate) fn decoded(seen: &str) -> (String, String) {
    let (head, mut rest) = seen.split_once("\r\n\r\n").expect("a head");
    let mut body = String::new();
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        loop {
            let (size, after) = rest.split_once("\r\n").expect("a chunk");
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                break;
            }
            body.push_str(&after[..size]);
            rest = &after[size + 2..];
        }
    } else {
        body.push_str(rest);
    }
    (head.to_lowercase(), body)
}

/// The head of a streamed response.
pub(crate) const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
pub(crate) const RECORD: &str = "{\"response\":\"a\",\"done\":false}\n";
pub(crate) const LAST: &str = "{\"response\":\"\",\"done\":true,\"eval_count\":1}\n";

/// A request for a stream.
pub(crate) fn generate() -> String {
    post("/api/generate", "{\"model\":\"m\"}")
}

pub(crate) fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The same, closing after the response.
pub(crate) fn post_once(path: &str, body: &str) -> String {
    post(path, body).replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
}

/// `requests_total` of a route with an outcome at the upstream. The model is the one of `generate`.
pub(crate) fn ended(route: &str, model: &str, outcome: &str) -> String {
    format!("requests_total{{upstream=\"gpu0\",route=\"{route}\",model=\"{model}\",outcome=\"{outcome}\"}}")
}

/// A generation whose request has reached the upstream.
pub(crate) async fn generating() -> (Upstream, Sidecar, Client, Asked) {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    (upstream, sidecar, client, asked)
}

/// The same after the client has read the first record.
pub(crate) async fn streaming() -> (Upstream, Sidecar, Client, Asked) {
    let (upstream, sidecar, mut client, mut asked) = generating().await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    (upstream, sidecar, client, asked)
}

/// A sidecar in front of two simulated Ollamas, `gpu0` and `gpu1`, which have one model each: `model0` and
/// `model1`.
pub(crate) async fn before_two(simulated: simulate::Config) -> Sidecar {
    let mut config = config(([127, 0, 0, 1], 1).into());
    config.upstream.upstreams.clear();
    config.upstream.choose = Policy::RoundRobin;
    for place in 0..2 {
        let models = vec![format!("model{place}:latest")];
        let simulator = Simulator::bind(simulate::Config { models, ..simulated.clone() }).unwrap();
        let url = format!("http://{}", simulator.addr()).parse().unwrap();
        config.upstream.upstreams.push(UpstreamConfig::new(format!("gpu{place}"), url));
        tokio::spawn(simulator.run(std::future::pending()));
    }
    let sidecar = sidecar(config).await;
    for place in 0..2 {
        sidecar.until(&format!("upstream_up{{upstream=\"gpu{place}\"}}"), 1.0).await;
    }
    sidecar
}
