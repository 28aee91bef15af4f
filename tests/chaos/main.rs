//! Streams with every fault of clients and upstreams: the client receives what was sent, and each stream is counted
//! once with the right outcome.
//!
//! There are 20,000 streams. `STREAMS` sets another number, as `just chaos` does.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod client;
mod fate;
mod upstream;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus::Registry;
use streamgauge::{
    sidecar::{Config, Sidecar},
    upstream::UpstreamConfig,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use fate::Fate;

/// The concurrent clients.
const CLIENTS: u64 = 64;
/// The time without a byte after which a fault counts as silence.
const SILENCE: Duration = Duration::from_millis(100);
/// The longest time for the rest after all streams were requested.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "the number is the caller's to set")]
fn streams() -> u64 {
    std::env::var("STREAMS").map_or(20_000, |number| number.parse().expect("STREAMS is a number"))
}

async fn sidecar(ollama: SocketAddr, silence: Duration) -> (SocketAddr, Registry) {
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    config.upstream.silence_timeout = silence;
    config.upstream.upstreams =
        vec![UpstreamConfig::new("gpu0", format!("http://{ollama}").parse().unwrap())];
    let bound = Sidecar::builder().config(config).bind().await.unwrap();
    let (proxy, registry) = (bound.proxy_addr(), bound.registry().clone());
    tokio::spawn(bound.run(std::future::pending()));
    (proxy, registry)
}

/// The values of a family by one label, summed over all others.
fn by(registries: &[Registry], family: &str, label: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for one in registries.iter().flat_map(Registry::gather).filter(|one| one.name() == family) {
        for series in one.get_metric() {
            let value = series.get_counter().get_value() + series.get_gauge().get_value();
            let name = series.get_label().iter().find(|pair| pair.name() == label);
            *sums.entry(name.map_or("", |pair| pair.value()).to_owned()).or_default() += value as u64;
        }
    }
    sums.retain(|_, value| *value > 0);
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_with_any_failure_arrives_unchanged_and_has_its_outcome_counted() {
    let streams = streams();
    let ollama = upstream::start().await;
    let (patient, first) = sidecar(ollama, Duration::ZERO).await;
    let (impatient, second) = sidecar(ollama, SILENCE).await;
    let registries = [first, second];

    let next = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let next = next.clone();
        clients.spawn(async move {
            let mut client = client::Client::default();
            loop {
                let stream = next.fetch_add(1, Relaxed);
                if stream >= streams {
                    return;
                }
                let proxy = if Fate::of(stream) == Fate::Silence { impatient } else { patient };
                client.follow(proxy, stream).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }

    let mut expected = BTreeMap::new();
    for stream in 0..streams {
        *expected.entry(Fate::of(stream).outcome().to_owned()).or_default() += 1;
    }
    let settled = timeout(PATIENCE, async {
        while by(&registries, "streamgauge_requests_total", "outcome") != expected
            || !by(&registries, "streamgauge_requests_in_flight", "route").is_empty()
            || !by(&registries, "streamgauge_connections_open", "listener").is_empty()
        {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let is_settled = settled.await.is_ok();
    assert_eq!(by(&registries, "streamgauge_requests_total", "outcome"), expected);
    assert!(is_settled, "{:?}", by(&registries, "streamgauge_requests_in_flight", "route"));
    assert!(by(&registries, "streamgauge_panics_total", "").is_empty());
}
