//! The whole sidecar with arbitrary bytes from both sides. A response that breaks off never looks complete, the received
//! bytes are those that were sent, each request is counted once, and nothing is left when both sides are gone.
//!
//! All of it runs in one thread, with a clock that stands still during work, so no timeout depends on the machine's speed.
#![no_main]

mod end;
mod message;
mod script;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use prometheus::Registry;
use streamgauge::{
    sidecar::{Config, Sidecar},
    upstream::UpstreamConfig,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::yield_now,
    time::advance,
};

use end::{End, Execution, Got};
use script::{Leave, Script, Then};

/// The value of every timeout of the sidecar.
const TIMEOUT: Duration = Duration::from_millis(100);
/// A step of the clock that is longer than every timeout.
const STEP: Duration = Duration::from_millis(110);
/// The number of timeouts in a row after which no more events come.
const STEPS: usize = 4;
/// The number of steps after which a request without a client and an upstream has ended.
const PATIENCE: usize = 50;
/// After this many turns of the runtime without an event on either side, no more events come at this time.
const QUIET_TURNS: usize = 24;
/// Longer than any run of this program.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// The sidecar, and its upstream.
struct World {
    runtime: Runtime,
    registry: Registry,
    proxy: SocketAddr,
    current: Arc<Mutex<Option<Arc<Execution>>>>,
    /// The counts after the last execution.
    counts: Mutex<Counts>,
}

/// The metrics of the sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    requests: f64,
    /// The requests for which the upstream was chosen.
    chosen: f64,
    durations: f64,
    malformed: f64,
    panics: f64,
    /// The models that lost their labels, and their counts with them.
    labels_dropped: f64,
    /// The sum of the gauges that must return to 0.
    left: f64,
}

/// It is never dropped, because its runtime would wait for the task that holds the clock.
static WORLD: OnceLock<World> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    if let Some(script) = Script::of(data) {
        WORLD.get_or_init(World::start).run(script);
    }
});

impl World {
    fn start() -> World {
        let runtime =
            Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        // While a blocking task runs, the clock moves only when the code advances it.
        runtime.spawn_blocking(std::thread::park);
        let current = Arc::default();
        let (registry, proxy) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let addr = listener.local_addr().expect("a socket");
            tokio::spawn(end::upstream(listener, Arc::clone(&current)));
            let bound = Sidecar::builder().config(config(addr)).bind().await.expect("a sidecar");
            let (registry, proxy) = (bound.registry().clone(), bound.proxy_addr());
            tokio::spawn(bound.run(std::future::pending()));
            while sum(&registry, "streamgauge_upstream_up") < 1.0 {
                yield_now().await;
            }
            for _ in 0..1000 {
                yield_now().await;
            }
            (registry, proxy)
        });
        World { runtime, registry, proxy, current, counts: Mutex::default() }
    }

    fn run(&self, script: Script) {
        let execution = Execution::new(script);
        *self.current.lock().expect("no thread panics with the lock") = Some(execution.clone());
        let (got, after) = self.runtime.block_on(async {
            let client = tokio::spawn(end::client(self.proxy, execution.clone()));
            let mut steps = 0;
            while !client.is_finished() {
                let seen = execution.activity.load(Relaxed);
                settle(&execution).await;
                if client.is_finished() {
                    break;
                }
                steps = if execution.activity.load(Relaxed) == seen { steps + 1 } else { 0 };
                if steps > STEPS {
                    execution.enough.notify_one();
                } else {
                    advance(STEP).await;
                }
            }
            let got = client.await.expect("the client does not panic");
            let after = self.at_rest(&execution).await;
            execution.cut();
            settle(&execution).await;
            (got, after)
        });
        let before =
            std::mem::replace(&mut *self.counts.lock().expect("no thread panics with the lock"), after);
        hold(&execution, &got, &before, &after);
    }

    async fn at_rest(&self, execution: &Execution) -> Counts {
        for _ in 0..PATIENCE {
            settle(execution).await;
            // hyper detects that a client has left only after it has read all of its data, further requests included. After
            // a single request, the departure of the client ends the request. Otherwise the upstream has to leave too.
            if !execution.script.is_one_request() {
                execution.cut();
                settle(execution).await;
            }
            let counts = self.counts();
            if counts.left == 0.0 {
                return counts;
            }
            advance(STEP).await;
        }
        panic!("something is left of a request that is over: {:?}", self.counts())
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for family in self.registry.gather() {
            for metric in family.get_metric() {
                let has = |value: &str| metric.get_label().iter().any(|label| label.value() == value);
                let (counter, gauge) = (metric.get_counter().get_value(), metric.get_gauge().get_value());
                match family.name() {
                    "streamgauge_requests_total" => {
                        counts.requests += counter;
                        counts.chosen += if has("fuzzed") { counter } else { 0.0 };
                    }
                    "streamgauge_request_duration_seconds" => {
                        counts.durations += metric.get_histogram().get_sample_count() as f64;
                    }
                    "streamgauge_requests_malformed_total" => counts.malformed += counter,
                    "streamgauge_panics_total" => counts.panics += counter,
                    "streamgauge_model_labels_dropped_total" => counts.labels_dropped += counter,
                    "streamgauge_requests_in_flight"
                    | "streamgauge_queue_depth"
                    | "streamgauge_shaping_buffer_bytes" => counts.left += gauge,
                    "streamgauge_connections_open" if has("proxy") => counts.left += gauge,
                    _ => {}
                }
            }
        }
        counts
    }
}

fn config(upstream: SocketAddr) -> Config {
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.proxy.keep_alive_timeout = TIMEOUT;
    config.proxy.header_timeout = TIMEOUT;
    config.proxy.body_idle_timeout = TIMEOUT;
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    let url = format!("http://{upstream}").parse().expect("a URL");
    config.upstream.upstreams = vec![UpstreamConfig::new("fuzzed", url)];
    config.upstream.health_interval = NEVER;
    config.upstream.silence_timeout = TIMEOUT;
    // This timeout uses the system's clock, which does not stand still.
    config.upstream.response_timeout = Duration::ZERO;
    config.meter.model_limit = 2;
    config.collectors.gpu = None;
    config.collectors.models = None;
    config.collectors.runtime = None;
    config.collectors.lag = None;
    config.collectors.process = None;
    config
}

fn sum(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    family.map_or(0.0, |family| family.get_metric().iter().map(|metric| metric.get_gauge().get_value()).sum())
}

/// Lets the runtime run until neither side has further events.
async fn settle(execution: &Execution) {
    let (mut quiet, mut seen) = (0, execution.activity.load(Relaxed));
    while quiet < QUIET_TURNS {
        yield_now().await;
        let now = execution.activity.load(Relaxed);
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
    }
}

/// Checks the guarantees, which hold whatever either side did.
fn hold(execution: &Execution, got: &Got, before: &Counts, after: &Counts) {
    let script = &execution.script;
    assert_eq!(after.panics, 0.0, "nothing panics");
    if after.labels_dropped > before.labels_dropped {
        // The counts of a model that lost its label are gone, so nothing can be said about those of this execution.
        return;
    }
    let counted = after.requests - before.requests;
    assert_eq!(after.durations - before.durations, counted, "each request is counted once");
    let malformed = after.malformed - before.malformed;

    let asked = execution.asked.load(Relaxed);
    assert!(
        asked as f64 <= after.chosen - before.chosen,
        "the upstream is asked nothing that is not counted"
    );

    let start = &b"HTTP/1."[..got.bytes.len().min(7)];
    assert!(got.bytes.starts_with(start), "no response: {}", got.bytes.escape_ascii());
    let known: Vec<_> = script.requests.iter().map_while(|request| request.method).collect();
    let are_all_known = known.len() == script.requests.len();
    if are_all_known {
        assert!(counted <= known.len() as f64, "{counted} requests of {}", known.len());
    }
    let (mut at, mut responses, mut whole) = (0, 0, 0);
    for method in &known {
        let Some(response) = message::response(&got.bytes[at..], method, got.end == End::Closed) else {
            break;
        };
        responses += 1;
        if script.is_told_apart
            && let Some(answer) = response.answer
        {
            told(script, answer, &response, method, got.end);
        }
        let Some(length) = response.length else { break };
        at += length;
        whole += 1;
    }
    assert!(f64::from(responses) <= counted + malformed, "{responses} responses to {counted} requests");
    if are_all_known && whole == known.len() {
        assert_eq!(known.len() as f64, counted, "each request is counted once");
        assert_eq!(got.bytes.len(), at, "more than was asked for: {}", got.bytes[at..].escape_ascii());
    }
}

/// Checks that the received part of an answer equals the part that was sent.
fn told(script: &Script, answer: usize, response: &message::Response, method: &str, end: End) {
    let answer = &script.answers[answer];
    let made = answer.made.as_ref().expect("the others do not claim to be one");
    assert_eq!(response.status, made.status);
    let is_whole = response.length.is_some();
    if method == "HEAD" || matches!(made.status, 204 | 304) {
        assert!(response.body.is_empty() && made.has_head);
        return;
    }
    let same = if is_whole { response.body == made.body } else { made.body.starts_with(&response.body) };
    assert!(same, "{} was sent, and {} came", made.body.escape_ascii(), response.body.escape_ascii());
    assert!(made.is_whole || !is_whole, "what breaks off never looks whole");
    // If the upstream sent more than was requested, the system ends the connection with a reset, after all written data.
    let is_whole = is_whole || (end == End::Reset && response.body == made.body);
    let stays = script.leave == Leave::Stay && answer.then != Then::Reset;
    let came = response.body.escape_ascii();
    assert!(is_whole || !made.is_whole || !stays, "of {} bytes that are whole came {came}", made.body.len());
}
