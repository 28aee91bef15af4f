//! What a registry says at one moment.

use std::{collections::BTreeMap, slice};

use prometheus::{
    Registry,
    proto::{Metric, MetricFamily},
};
use tokio::time::Instant;

use super::{buckets::Buckets, interval::Interval};
use crate::protocol::Route;

/// Counts since the sidecar began, and what is there now.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    at: Instant,
    streams: f64,
    content_records: f64,
    tokens: f64,
    stream_seconds: f64,
    busy_seconds: f64,
    gap: Buckets,
    first_token: Buckets,
    outcomes: BTreeMap<String, u64>,
}

impl Reading {
    pub(super) fn take(registry: &Registry) -> Reading {
        let families = registry.gather();
        let find = |name: &str| Found(families.iter().find(|family| named(family, name)));
        let generates = |route: &str| Route::ALL.iter().any(|r| r.generates() && r.label() == route);
        let mut outcomes = BTreeMap::new();
        for metric in find("requests_total").metrics() {
            *outcomes.entry(label(metric, "outcome").to_owned()).or_default() += value(metric) as u64;
        }
        Reading {
            at: Instant::now(),
            streams: find("requests_in_flight").sum(|metric| generates(label(metric, "route"))),
            content_records: find("records_total")
                .sum(|metric| matches!(label(metric, "kind"), "content" | "thinking" | "tool_call")),
            tokens: find("tokens_total").sum(|metric| label(metric, "kind") == "output"),
            stream_seconds: find("stream_seconds_total").sum(|_| true),
            busy_seconds: find("busy_seconds_total").sum(|_| true),
            gap: find("chunk_gap_seconds").buckets(|metric| label(metric, "at") == "upstream"),
            first_token: find("time_to_first_token_seconds").buckets(|_| true),
            outcomes,
        }
    }

    /// From `earlier` to this.
    pub(super) fn since(&self, earlier: &Reading) -> Interval {
        let outcomes = self.outcomes.iter().map(|(outcome, count)| {
            let before = earlier.outcomes.get(outcome).copied().unwrap_or_default();
            (outcome.clone(), count.saturating_sub(before))
        });
        Interval {
            seconds: self.at.duration_since(earlier.at).as_secs_f64(),
            streams: self.streams,
            content_records: self.content_records - earlier.content_records,
            tokens: self.tokens - earlier.tokens,
            stream_seconds: self.stream_seconds - earlier.stream_seconds,
            busy_seconds: self.busy_seconds - earlier.busy_seconds,
            gap: self.gap.since(&earlier.gap),
            first_token: self.first_token.since(&earlier.first_token),
            outcomes: outcomes.collect(),
        }
    }
}

/// A family, if the registry has it.
struct Found<'a>(Option<&'a MetricFamily>);

impl<'a> Found<'a> {
    fn metrics(&self) -> slice::Iter<'a, Metric> {
        self.0.map_or(&[][..], MetricFamily::get_metric).iter()
    }

    fn sum(&self, wanted: impl Fn(&Metric) -> bool) -> f64 {
        self.metrics().filter(|metric| wanted(metric)).map(value).sum()
    }

    fn buckets(&self, wanted: impl Fn(&Metric) -> bool) -> Buckets {
        let children = self.metrics().filter(|metric| wanted(metric));
        children.map(|metric| Buckets::of(metric.get_histogram())).fold(Buckets::default(), Buckets::plus)
    }
}

fn named(family: &MetricFamily, name: &str) -> bool {
    family.name().strip_prefix("streamgauge_") == Some(name)
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

/// Of a counter or a gauge: the other is not there, and reads 0.
fn value(metric: &Metric) -> f64 {
    metric.get_counter().get_value() + metric.get_gauge().get_value()
}
