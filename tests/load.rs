//! A thousand concurrent streams with many failures: each is counted once, with the right outcome.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use prometheus::Registry;
use reqwest::{Client, Response};
use streamgauge::{
    sidecar::{Config, Sidecar},
    upstream::UpstreamConfig,
};
use streamgauge_simulate::{self as simulate, Fault, Simulator, Truth};
use tokio::{task::JoinSet, time::timeout};

const STREAMS: usize = 1000;
const TOKENS: usize = 30;
/// Ten tokens per second: three seconds per stream.
const RATE: f64 = 10.0;
/// Longer than any step of the test.
const PATIENCE: Duration = Duration::from_secs(120);

/// The fate of a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Whole,
    Error,
    Truncated,
    Reset,
    /// The client disconnects this long after the first token.
    LeftAfter(Duration),
    /// The client disconnects before the head.
    LeftBeforeHead,
}

impl Fate {
    fn of(stream: usize) -> Fate {
        match stream % 20 {
            0 => Fate::Error,
            1 => Fate::Truncated,
            2 => Fate::Reset,
            3..=5 => Fate::LeftAfter(Duration::from_millis(2 * stream as u64)),
            6 => Fate::LeftBeforeHead,
            _ => Fate::Whole,
        }
    }

    fn fault(self) -> &'static str {
        match self {
            Fate::Whole => "",
            Fate::Error => "error",
            Fate::Truncated => "truncate",
            Fate::Reset => "reset",
            // Even on a slow machine, the stream does not end before its client disconnects.
            Fate::LeftAfter(_) => "stall:600s",
            Fate::LeftBeforeHead => "slow-head:600s",
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Fate::Whole => "complete",
            Fate::Error => "in_band_error",
            Fate::Truncated => "truncated",
            Fate::Reset => "upstream_error",
            Fate::LeftAfter(_) | Fate::LeftBeforeHead => "client_abort",
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_streams_are_each_counted_once_with_their_outcome() {
    allow_descriptors();
    let simulator = Simulator::bind(simulate::Config {
        tokens: TOKENS as u32,
        rate: RATE,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        parallel: STREAMS,
        contention: 0.0,
        ..simulate::Config::default()
    })
    .unwrap();
    let (ollama, truth) = (simulator.addr(), simulator.truth());
    tokio::spawn(simulator.run(std::future::pending()));
    let bound = Sidecar::builder().config(config(ollama)).bind().await.unwrap();
    let (proxy, registry) = (bound.proxy_addr(), bound.registry().clone());
    tokio::spawn(bound.run(std::future::pending()));

    let client = Client::new();
    let mut streams = JoinSet::new();
    let mut left_before_head = JoinSet::new();
    let mut expected: BTreeMap<_, u64> = BTreeMap::new();
    for stream in 0..STREAMS {
        let fate = Fate::of(stream);
        *expected.entry(fate.outcome()).or_default() += 1;
        let request = client
            .post(format!("http://{proxy}/api/generate"))
            .header("x-simulate-fault", fate.fault())
            .body(r#"{"model":"sim","prompt":"why is the sky blue"}"#)
            .send();
        if fate == Fate::LeftBeforeHead {
            left_before_head.spawn(request);
        } else {
            streams.spawn(async move { follow(request.await.unwrap(), fate).await });
        }
    }
    timeout(PATIENCE, streams.join_all()).await.expect("a stream never ends");
    let all_asked = truth.until(|truth| truth.requests("/api/generate") == STREAMS as u64);
    timeout(PATIENCE, all_asked).await.expect("a request never came");
    left_before_head.shutdown().await;

    let total = |name, label| -> f64 { sum(&registry, name, label).values().sum() };
    timeout(PATIENCE, async {
        while total("streamgauge_requests_total", "outcome") < STREAMS as f64
            || total("streamgauge_requests_in_flight", "route") > 0.0
            || happened(&truth) != expected
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{:?} happened, {expected:?} was wanted", happened(&truth)));

    let counted = sum(&registry, "streamgauge_requests_total", "outcome");
    let counted = counted.iter().map(|(outcome, count)| (outcome.as_str(), *count as u64));
    let counted: BTreeMap<_, _> = counted.filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, happened(&truth));
    let tokens = sum(&registry, "streamgauge_tokens_total", "kind");
    assert_eq!(tokens["output"], (truth.ended() * TOKENS as u64) as f64);
    let records = sum(&registry, "streamgauge_records_total", "kind");
    assert_eq!(records["terminal"], truth.ended() as f64);
    assert!(records["content"] <= truth.output_tokens() as f64);
}

/// Reads a stream as far as its fate goes, and checks its end.
async fn follow(mut response: Response, fate: Fate) {
    assert_eq!(response.status(), 200);
    let mut seen = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => seen.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                assert!(fate == Fate::Reset, "{error}");
                return;
            }
        }
        if let Fate::LeftAfter(pause) = fate {
            return tokio::time::sleep(pause).await;
        }
    }
    let text = String::from_utf8(seen).unwrap();
    let (lines, last) = (text.lines().count(), text.lines().last().unwrap_or_default());
    let (is_terminal, is_error) = (last.contains(r#""done":true"#), last.starts_with(r#"{"error""#));
    match fate {
        Fate::Whole => assert_eq!((lines, is_terminal), (TOKENS + 1, true), "{text}"),
        Fate::Error => assert!(is_error, "{text}"),
        Fate::Truncated => assert!(!is_error && !is_terminal, "{text}"),
        _ => panic!("it ended cleanly: {text}"),
    }
}

/// The outcomes that the simulator counted.
fn happened(truth: &Truth) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("complete", truth.ended()),
        ("in_band_error", truth.faults(Fault::Error)),
        ("truncated", truth.faults(Fault::Truncate)),
        ("upstream_error", truth.faults(Fault::Reset)),
        ("client_abort", truth.cancelled()),
    ])
}

/// The counts of a family by one label, without zeros.
fn sum(registry: &Registry, name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for family in registry.gather().iter().filter(|family| family.name() == name) {
        for metric in family.get_metric() {
            let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
            let of = metric.get_label().iter().find(|pair| pair.name() == label).unwrap().value();
            if value != 0.0 {
                *sums.entry(of.to_owned()).or_default() += value;
            }
        }
    }
    sums
}

fn config(ollama: SocketAddr) -> Config {
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    let url = format!("http://{ollama}").parse().unwrap();
    config.upstream.upstreams = vec![UpstreamConfig::new("gpu0", url)];
    config
}

/// Each stream takes four descriptors of this process, whose usual limit is 1,024.
fn allow_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    }
}
