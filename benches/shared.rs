//! The cost of shared limits: `cargo bench --bench shared -- [added|calls|fleet|throughput]…`. It needs the `redis-server`
//! of tests/real/install.sh.
//!
//! One sidecar with a store and one without it run in this process, with the same keys and limits, in front of the same
//! simulated Ollama. They take turns: each figure is the median over the rounds.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program that prints what it measures"
)]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroU32,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use streamgauge::{
    admission::{Access, Digest, Key, Limits, Quota},
    sidecar::{self, Sidecar},
    store::{self, Server},
    upstream::UpstreamConfig,
};
use streamgauge_simulate::{self as simulate, Simulator};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 9;
const REQUESTS: usize = 2_000;
/// A request that takes no slot, and one that does.
const VERSION: &str =
    "GET /api/version HTTP/1.1\r\nHost: h\r\nX-Api-Key: sesame\r\nContent-Length: 0\r\n\r\n";
const GENERATE: &str = "POST /api/generate HTTP/1.1\r\nHost: h\r\nX-Api-Key: sesame\r\nContent-Length: 43\r\n\r\n{\"model\":\"sim\",\"prompt\":\"p\",\"stream\":false}";

/// A Redis on a Unix socket and on loopback.
struct Redis {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn programs() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache");
    env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("streamgauge/bin")
}

impl Redis {
    fn start() -> Redis {
        let folder = TempDir::new().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(programs().join("redis-server"))
            .args(["--port", &port.to_string(), "--save", "", "--unixsocket"])
            .arg(folder.path().join("socket"))
            .stdout(Stdio::null())
            .spawn()
            .expect("tests/real/install.sh installs redis-server");
        let redis = Redis { child, folder, port };
        while UnixStream::connect(redis.socket()).is_err() {
            thread::sleep(Duration::from_millis(5));
        }
        redis
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// How often a script was called.
    fn calls(&self) -> u64 {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(b"INFO commandstats\r\n").unwrap();
        let mut answer = vec![0; 1 << 16];
        let count = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..count]).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    fn server(&self) -> Server {
        Server::Tcp { url: format!("redis://127.0.0.1:{}", self.port).parse().unwrap(), trust: None }
    }
}

/// Limits that no request reaches.
fn key(shares_streams: bool) -> Key {
    let quota = Some(Quota::new(NonZeroU32::new(1_000_000).unwrap(), Duration::from_secs(1)));
    let limits = Limits {
        requests: quota,
        tokens: if shares_streams { quota } else { None },
        max_streams: shares_streams.then_some(1000),
        ..Limits::default()
    };
    let digest = Digest::of(b"sesame");
    let name = "alice".to_owned();
    Key { name, digest, limits, routes: Access::ALL, models: None, pace: None, on_failure: None }
}

/// Starts a sidecar and returns its address for clients.
fn sidecar(
    runtime: &Runtime,
    upstream: SocketAddr,
    store: Option<Server>,
    shares_streams: bool,
) -> SocketAddr {
    let mut config = sidecar::Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    config.upstream.upstreams =
        vec![UpstreamConfig::new("gpu0", format!("http://{upstream}").parse().unwrap())];
    config.admission.keys = vec![key(shares_streams)];
    // A busy machine must not open the breaker in the middle of a measurement.
    config.shared =
        store.map(|server| store::Config { deadline: Duration::from_secs(1), ..store::Config::new(server) });
    runtime.block_on(async {
        let bound = Sidecar::builder().config(config).bind().await.unwrap();
        let (proxy, admin) = (bound.proxy_addr(), bound.admin_addr());
        tokio::spawn(bound.run(std::future::pending()));
        let client = reqwest::Client::new();
        loop {
            let ready = client.get(format!("http://{admin}/readyz")).send().await.unwrap();
            if ready.status().is_success() && ready.text().await.unwrap() == "ready\n" {
                return proxy;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

/// A client that sends one request after the other on one connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(to: SocketAddr) -> Client {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    /// Sends a request, and reads the whole response.
    fn ask(&mut self, request: &str) -> Duration {
        let began = Instant::now();
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut line, mut length, mut status) = (String::new(), None, String::new());
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let lower = line.trim_end().to_ascii_lowercase();
            if status.is_empty() {
                status = lower;
            } else if let Some(value) = lower.strip_prefix("content-length: ") {
                length = Some(value.parse::<usize>().unwrap());
            } else if lower.is_empty() {
                break;
            }
        }
        assert!(status.contains(" 200 "), "{status}");
        match length {
            Some(length) => self.0.read_exact(&mut vec![0; length]).unwrap(),
            None => loop {
                line.clear();
                self.0.read_line(&mut line).unwrap();
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                self.0.read_exact(&mut vec![0; size + 2]).unwrap();
                if size == 0 {
                    break;
                }
            },
        }
        began.elapsed()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The p50 and the p99 of a round in milliseconds.
fn round(client: &mut Client) -> [f64; 2] {
    let mut times: Vec<_> = (0..REQUESTS).map(|_| client.ask(VERSION).as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    [times[REQUESTS / 2], times[REQUESTS * 99 / 100]]
}

/// The time that the store adds to a request.
fn added(runtime: &Runtime, redis: &Redis, upstream: SocketAddr) {
    for (what, server) in [("loopback", redis.server()), ("Unix socket", Server::Unix(redis.socket()))] {
        let mut without = Client::connect(sidecar(runtime, upstream, None, false));
        let mut with = Client::connect(sidecar(runtime, upstream, Some(server), false));
        for client in [&mut without, &mut with] {
            round(client);
        }
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (round(&mut without), round(&mut with))).collect();
        for (at, part) in [(0, "p50"), (1, "p99")] {
            let off = median(rounds.iter().map(|(off, _)| off[at]).collect());
            let on = median(rounds.iter().map(|(_, on)| on[at]).collect());
            let more = median(rounds.iter().map(|(off, on)| on[at] - off[at]).collect());
            println!("store on {what}, {part}: {off:.3} ms without, {on:.3} ms with, {more:.3} ms more");
        }
    }
}

/// The calls of a request, at a rate of generations that share requests, tokens and `max_streams`.
fn calls(runtime: &Runtime, upstream: SocketAddr) {
    for (rate, clients, seconds) in [(5, 1, 10.0), (100, 4, 10.0), (400, 16, 10.0)] {
        // The sidecars of other measurements would renew their records there.
        let redis = Redis::start();
        let proxy = sidecar(runtime, upstream, Some(redis.server()), true);
        let (before, began, done) = (redis.calls(), Instant::now(), AtomicU64::new(0));
        thread::scope(|scope| {
            for at in 0..clients {
                let done = &done;
                scope.spawn(move || {
                    let mut client = Client::connect(proxy);
                    let pause = Duration::from_secs_f64(f64::from(clients) / f64::from(rate));
                    let mut next = began + pause.mul_f64(f64::from(at) / f64::from(clients));
                    while began.elapsed().as_secs_f64() < seconds {
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                        client.ask(GENERATE);
                        done.fetch_add(1, Relaxed);
                        next += pause;
                    }
                });
            }
        });
        let took = began.elapsed().as_secs_f64();
        let (done, calls) = (done.into_inner(), redis.calls() - before);
        println!(
            "{:.0} generations/s with requests, tokens and max_streams: {:.2} calls each",
            done as f64 / took,
            calls as f64 / done as f64
        );
    }
}

/// Admissions per second of a fleet that asks as fast as it can.
fn fleet(runtime: &Runtime, redis: &Redis, upstream: SocketAddr) {
    let all: Vec<_> = (0..4).map(|_| sidecar(runtime, upstream, Some(redis.server()), false)).collect();
    let (before, began, end, done) =
        (redis.calls(), Instant::now(), Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    thread::scope(|scope| {
        for at in 0..128 {
            let (end, done, proxy) = (end.clone(), &done, all[at % 4]);
            scope.spawn(move || {
                let mut client = Client::connect(proxy);
                while !end.load(Relaxed) {
                    client.ask(VERSION);
                    done.fetch_add(1, Relaxed);
                }
            });
        }
        thread::sleep(Duration::from_secs(5));
        end.store(true, Relaxed);
    });
    let (took, done) = (began.elapsed().as_secs_f64(), done.into_inner());
    println!(
        "four sidecars, 128 clients: {:.0} requests/s, {:.2} calls each",
        done as f64 / took,
        (redis.calls() - before) as f64 / done as f64
    );
}

/// Calls per second of the store alone, by redis-benchmark, with the script of admission.
fn throughput(redis: &Redis) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/script");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let script = read("common.lua") + &read("admit.lua");
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    let load = format!("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n${}\r\n{script}\r\n", script.len());
    stream.write_all(load.as_bytes()).unwrap();
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).unwrap();
    let sha = String::from_utf8_lossy(&answer[..count]).lines().nth(1).unwrap().to_owned();
    for requests in ["p", "pp", "pppppppp"] {
        let mut rates: Vec<f64> = Vec::new();
        for _ in 0..5 {
            let caller = "alice__rand_int__";
            let keys = ["rates", "leases"].map(|kind| format!("{{streamgauge}}:{kind}:{caller}"));
            let port = redis.port.to_string();
            let output = Command::new(programs().join("redis-benchmark"))
                .args(["-p", &port, "-n", "100000", "-c", "64", "--threads", "2", "-r", "1000", "--csv"])
                .args(["EVALSHA", &sha, "2", &keys[0], &keys[1], "sidecar", "10000000"])
                .args(["{streamgauge}:freed", caller, requests])
                .args(["1000000/1000000/1000000", "1000000", "1", "0", "1000000", "0"])
                .args(["", "", "", "", "", "", "", "0", "0"])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let last = text.lines().last().unwrap_or_default().to_owned();
            let rate =
                last.rsplit_once("\",\"").map(|_| last.split("\",\"").nth(1).unwrap_or("0").to_owned());
            rates.push(rate.and_then(|rate| rate.trim_matches('"').parse().ok()).expect("a rate"));
        }
        let rate = median(rates);
        let each = requests.len();
        println!("{rate:.0} calls/s of the store with {each} each: {:.0} admissions/s", rate * each as f64);
    }
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg")
        .map(|text| text.split(' ').next().unwrap_or("?").to_owned())
        .unwrap_or_default()
}

fn main() {
    // `cargo test --benches` runs each benchmark once, to see that it starts.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let cores = thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores, load {}", load());
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let simulated = simulate::Config {
        rate: 100_000.0,
        tokens: 2,
        jitter: 0.0,
        contention: 0.0,
        parallel: 1000,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        ..simulate::Config::default()
    };
    let upstream = runtime.block_on(async {
        let bound = Simulator::bind(simulated).unwrap();
        let address = bound.addr();
        tokio::spawn(bound.run(std::future::pending()));
        address
    });
    let redis = Redis::start();
    let named: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |name: &str| named.is_empty() || named.iter().any(|one| one == name);
    if runs("added") {
        added(&runtime, &redis, upstream);
    }
    if runs("calls") {
        calls(&runtime, upstream);
    }
    if runs("fleet") {
        fleet(&runtime, &redis, upstream);
    }
    if runs("throughput") {
        throughput(&redis);
    }
    println!("load {}", load());
}
