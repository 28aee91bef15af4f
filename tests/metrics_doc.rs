//! docs/reference/metrics.md and the code agree: names, types, labels and bounds, in both directions.
#![allow(clippy::unwrap_used, reason = "a test may")]

// Several test programs use this file.
#[path = "shared/snapshot.rs"]
mod snapshot;
// Several test programs use this file.
#[path = "shared/wait.rs"]
mod wait;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use prometheus::{
    Registry,
    proto::{MetricFamily, MetricType},
};
use streamgauge::{
    admission::Quota,
    collector::{self, Collectors, FakeReader, Loaded, runtime},
    meter::{self, Facts, Meter},
    sidecar::{self, Sidecar},
    store, traces,
    upstream::StreamLimit,
};
use tokio::runtime::Builder;

const DOC: &str = include_str!("../docs/reference/metrics.md");

/// Metrics that exist only with tokio_unstable.
const UNSTABLE: [&str; 8] = [
    "streamgauge_runtime_poll_seconds",
    "streamgauge_runtime_schedule_latency_seconds",
    "streamgauge_runtime_steals_total",
    "streamgauge_runtime_local_queue_depth",
    "streamgauge_runtime_blocking_threads",
    "streamgauge_runtime_blocking_queue_depth",
    "streamgauge_runtime_forced_yields_total",
    "streamgauge_runtime_io_ready_total",
];

/// The description of one metric, by the page or by the code.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    kind: String,
    labels: BTreeSet<String>,
    bounds: Vec<f64>,
}

/// The texts between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

fn documented() -> BTreeMap<String, Said> {
    let mut said = BTreeMap::<String, Said>::new();
    let mut lines = DOC.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("### ") {
            let facts = lines.next().unwrap().trim_matches('*');
            let [kind, _unit, labels] = facts.split('·').collect::<Vec<_>>()[..] else {
                panic!("{heading}: not type · unit · labels: {facts}");
            };
            let name = quoted(heading).next().unwrap();
            let said_of_it =
                Said { kind: kind.trim().to_owned(), labels: quoted(labels).collect(), bounds: Vec::new() };
            assert!(said.insert(name, said_of_it).is_none(), "twice: {heading}");
        } else if let Some(row) = line.strip_prefix("| `streamgauge_") {
            let [names, bounds, below, above, _] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("not names, bounds, and what lies below and above: {row}");
            };
            assert!([below, above].iter().all(|beyond| beyond.trim().len() > 5), "beyond its ends: {row}");
            let bounds: Vec<f64> = bounds.split_whitespace().map(|bound| bound.parse().unwrap()).collect();
            for name in quoted(&format!("`streamgauge_{names}")) {
                said.get_mut(&name).unwrap_or_else(|| panic!("{name} has no heading")).bounds =
                    bounds.clone();
            }
        }
    }
    said
}

fn told_by(family: &MetricFamily) -> Said {
    let metric = &family.get_metric()[0];
    Said {
        kind: match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            other => panic!("{other:?}"),
        }
        .to_owned(),
        labels: metric.get_label().iter().map(|pair| pair.name().to_owned()).collect(),
        bounds: metric.get_histogram().get_bucket().iter().map(|bucket| bucket.upper_bound()).collect(),
    }
}

/// Runs a stream, so that every family of the meter has a series.
fn metered() -> Registry {
    let registry = Registry::new();
    let meter = Meter::register(&registry, &meter::Config::default(), &["u"]).unwrap();
    let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
    measurement.model_named("m");
    measurement.upstream_chosen("u");
    measurement.responded(StatusCode::OK);
    let records = ["{\"response\":\"a\"}\n", "{\"done\":true}\n"];
    let records = stream::iter(records.map(|record| Ok::<_, Infallible>(Bytes::from(record))));
    let body = measurement.wrap_stream(Some("application/x-ndjson"), records);
    assert_eq!(body.count().now_or_never(), Some(2), "nothing waits");
    registry
}

/// Runs every collector until its first reading.
async fn collected() -> Registry {
    let registry = Registry::new();
    let loaded = Loaded {
        upstream: "u".to_owned(),
        model: "m".to_owned(),
        size: Some(1),
        vram: Some(1),
        context_length: Some(1),
        expires_at: Some(SystemTime::now()),
    };
    let runtime = runtime::enable_histograms(&mut Builder::new_current_thread()).build().unwrap();
    let collectors = Collectors::new(collector::Config::default())
        .runtime("main", runtime.handle().clone())
        .models(move || vec![loaded.clone()], |_| true)
        .gpu(FakeReader::new(1))
        .process()
        .register(&registry)
        .unwrap();
    let running = tokio::spawn(collectors.run());
    let last = [
        "streamgauge_gpu_info",
        "streamgauge_model_loaded",
        "streamgauge_runtime_workers",
        "process_threads",
    ];
    wait::until_async("each collector has written", async || {
        assert!(!running.is_finished());
        let families = registry.gather();
        last.iter().all(|name| families.iter().any(|family| family.name() == *name))
    })
    .await;
    running.abort();
    // A runtime must not be dropped in async code, since the drop waits for its threads.
    runtime.shutdown_background();
    registry
}

/// A sidecar that is bound and serves no requests yet.
async fn bound() -> Registry {
    let registry = Registry::new();
    let mut config = sidecar::Config::default();
    config.proxy.listen.set_port(0);
    config.admin.listen.set_port(0);
    config.collectors.gpu = None;
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Auto { min_tokens_per_second: None });
    config.admission.anonymous.tokens = Some(Quota::new(NonZeroU32::MIN, Duration::from_secs(1)));
    config.shared = Some(store::Config::new(store::Server::Unix("no/socket".into())));
    config.traces = Some(traces::Config::new("http://localhost/v1/traces".parse().unwrap()));
    Sidecar::builder().config(config).registry(registry.clone()).bind().await.unwrap();
    registry
}

#[tokio::test]
async fn help_of_every_metric_is_the_snapshot() {
    let families = [metered().gather(), collected().await.gather(), bound().await.gather()].concat();
    let line = |family: &MetricFamily| format!("# HELP {} {}\n", family.name(), family.help());
    let lines: BTreeSet<_> = families.iter().map(line).collect();
    if cfg!(tokio_unstable) {
        snapshot::compare("metrics-help.txt", &lines.into_iter().collect::<String>());
    }
}

#[tokio::test]
async fn metrics_page_matches_code() {
    let families = [metered().gather(), collected().await.gather(), bound().await.gather()].concat();
    let told: BTreeMap<_, _> =
        families.iter().map(|family| (family.name().to_owned(), told_by(family))).collect();
    let mut documented = documented();
    if !cfg!(tokio_unstable) {
        documented.retain(|name, _| !UNSTABLE.contains(&name.as_str()));
    }
    let (written, coded): (BTreeSet<_>, BTreeSet<_>) = (documented.keys().collect(), told.keys().collect());
    let (stale, missing): (Vec<_>, Vec<_>) =
        (&written ^ &coded).into_iter().partition(|name| written.contains(name));
    assert!(
        stale.is_empty() && missing.is_empty(),
        "not in the code: {stale:?}; not on the page: {missing:?}"
    );
    for (name, told) in told {
        assert_eq!(documented[&name], told, "{name}");
    }
}

#[test]
fn metrics_page_has_heading_for_every_metric_it_names() {
    let documented = documented();
    for name in quoted(DOC).filter(|text| text.starts_with("streamgauge_")) {
        assert!(documented.contains_key(&name), "{name}");
    }
}

#[test]
fn metrics_page_names_every_outcome() {
    for outcome in meter::Outcome::ALL {
        assert!(DOC.contains(&format!("\n| `{}` | ", outcome.label())), "{}", outcome.label());
    }
}

#[test]
fn metrics_page_says_what_each_phase_includes_before_and_since_0_30() {
    let rows = |head: &str| -> Vec<&str> {
        let lines = DOC.lines().skip_while(|line| *line != head).skip(2);
        lines.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('`').nth(1)).collect()
    };
    let phases = rows("| phase | formula |");
    assert_eq!(phases, ["queue", "load", "prompt_eval", "eval", "decode", "unaccounted"]);
    assert_eq!(rows("| phase | before 0.30 | since 0.30 |"), phases);
}
