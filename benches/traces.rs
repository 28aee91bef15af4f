//! The cost of a request without traces, with traces and not sampled, and sampled. The goal is that a sampled request
//! costs at most 5 µs more: the decision, the steps and the queue at its end. The export is the work of another task.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![expect(clippy::disallowed_types, reason = "a benchmark measures by the clock on the wall")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method, StatusCode};
use prometheus::Registry;
use streamgauge::{
    meter::{Config, Facts, Meter, Outcome, Step},
    traces::{self, Traces},
};

/// As many as the queue takes by default.
const REQUESTS: u64 = 2048;

/// One request, with the calls that the proxy makes.
fn request(meter: &Meter, traces: Option<&Arc<Traces>>, headers: &HeaderMap) {
    let mut measurement = meter.start(Facts::new("POST", "/api/chat"));
    if let Some(traces) = traces
        && let Some(sampled) = traces.sample(None, headers, &Method::POST)
    {
        measurement.traced(sampled.root().expect("it has no parent"));
        measurement.keep_steps();
        let (traces, live) = (traces.clone(), measurement.live().clone());
        measurement.on_end(move |ending| traces.finish(sampled, &live, ending));
    }
    measurement.called_by("alice");
    measurement.step(|| Step::Admitted);
    measurement.model_named("gemma3:270m");
    measurement.step(|| Step::Queued);
    measurement.upstream_chosen("gpu0");
    measurement.step(|| Step::Dispatched { upstream: "gpu0".into(), reason: "only" });
    measurement.live().request_sent();
    measurement.responded(StatusCode::OK);
    measurement.finish(Outcome::Complete);
}

/// Measures with a new queue for each round, so that it is never full. `None`: without traces.
fn measure(rounds: u64, ratio: Option<f64>) -> Duration {
    let meter = Meter::register(&Registry::new(), &Config::default(), &["gpu0"]).expect("a new registry");
    let headers = HeaderMap::new();
    let (mut left, mut took) = (rounds, Duration::ZERO);
    while left > 0 {
        let traces = ratio.map(|ratio| {
            let mut config = traces::Config::new("http://localhost/".parse().expect("a constant"));
            config.sample_ratio = ratio;
            Traces::register(&Registry::new(), &config).expect("a new registry")
        });
        let now = left.min(REQUESTS);
        let since = Instant::now();
        for _ in 0..now {
            request(&meter, traces.as_ref(), &headers);
        }
        took += since.elapsed();
        left -= now;
    }
    took
}

fn cost(criterion: &mut Criterion) {
    for (name, ratio) in [("off", None), ("not sampled", Some(0.0)), ("sampled", Some(1.0))] {
        criterion.bench_function(&format!("traces, {name}"), |bencher| {
            bencher.iter_custom(|rounds| measure(rounds, ratio));
        });
    }
}

criterion_group!(benches, cost);
criterion_main!(benches);
