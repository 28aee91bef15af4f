//! The values of a registry at one moment.

use std::collections::BTreeMap;

use prometheus::Registry;
use tokio::time::Instant;

use super::interval::Interval;
use crate::{
    metric::{Buckets, Scrape},
    protocol::Route,
};

/// Counters since the start, and the present value of gauges.
#[derive(Clone, Debug)]
pub(super) struct DemoReading {
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

impl DemoReading {
    pub(super) fn take(registry: &Registry) -> DemoReading {
        let scrape = Scrape::take(registry);
        let generates = |route: &str| Route::ALL.iter().any(|r| r.generates() && r.label() == route);
        let mut outcomes = BTreeMap::new();
        for series in scrape.find("requests_total").series() {
            *outcomes.entry(series.label("outcome").to_owned()).or_default() += series.value() as u64;
        }
        DemoReading {
            at: Instant::now(),
            streams: scrape.find("requests_in_flight").sum(|series| generates(series.label("route"))),
            content_records: scrape
                .find("records_total")
                .sum(|series| matches!(series.label("kind"), "content" | "thinking" | "tool_call")),
            tokens: scrape.find("tokens_total").sum(|series| series.label("kind") == "output"),
            stream_seconds: scrape.find("stream_seconds_total").sum(|_| true),
            busy_seconds: scrape.find("busy_seconds_total").sum(|_| true),
            gap: scrape.find("chunk_gap_seconds").buckets(|series| series.label("at") == "upstream"),
            first_token: scrape.find("time_to_first_token_seconds").buckets(|_| true),
            outcomes,
        }
    }

    /// The difference between `earlier` and this reading.
    pub(super) fn since(&self, earlier: &DemoReading) -> Interval {
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
