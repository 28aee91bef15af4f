//! The difference between two readings.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::reading::{Band, Card, Reading, SurroundingsReading};
use crate::{meter::Outcome, metric::Buckets};

/// The columns of a point, in order.
pub(super) const COLUMNS: [&str; 17] = [
    "seconds",
    "streams",
    "decoding",
    "queued",
    "tokens",
    "first_token_p50",
    "first_token_p99",
    "gap_p50",
    "gap_p99",
    "hidden_p50",
    "hidden_p99",
    "lag_p50",
    "lag_p99",
    "busy",
    "watts",
    "failed",
    "refused",
];

/// One value for each column. A value without data is `None`.
pub(super) type Point = [Option<f64>; COLUMNS.len()];

/// The difference between two readings.
pub(super) struct Window {
    pub(super) seconds: f64,
    content: f64,
    outcomes: [f64; 8],
    first_token: Buckets,
    gap: Buckets,
    hidden: Buckets,
    queue_wait: Buckets,
    lag: Buckets,
    bands: [Band; 8],
    output_tokens: f64,
    loads: f64,
    /// `None` without a GPU that reports its energy.
    joules: Option<f64>,
}

impl Window {
    pub(super) fn of(first: &Reading, last: &Reading) -> Window {
        Window {
            seconds: last.at.duration_since(first.at).as_secs_f64(),
            content: grown(last.content, first.content),
            outcomes: std::array::from_fn(|at| grown(last.outcomes[at], first.outcomes[at])),
            first_token: last.first_token.since(&first.first_token),
            gap: last.gap.since(&first.gap),
            hidden: last.hidden.since(&first.hidden),
            queue_wait: last.queue_wait.since(&first.queue_wait),
            lag: last.lag.since(&first.lag),
            bands: std::array::from_fn(|at| last.bands[at].since(first.bands[at])),
            output_tokens: grown(last.output_tokens, first.output_tokens),
            loads: grown(last.loads, first.loads),
            joules: last.joules.zip(first.joules).map(|(last, first)| grown(last, first)),
        }
    }

    /// One point of the plots, `after` the beginning of the history. Streams, waiting requests and GPUs are read at
    /// its end; everything else covers the whole window.
    pub(super) fn point(&self, after: Duration, end: &Reading) -> Point {
        let ended: f64 = self.outcomes.iter().sum();
        let decoding: f64 = self.bands.iter().map(|band| band.stream_seconds).sum();
        [
            Some((after.as_secs_f64() * 10.0).round() / 10.0),
            short(end.streams),
            self.rate(decoding).and_then(short),
            short(end.queued),
            self.rate(self.content).and_then(short),
            self.first_token.quantile(0.5).and_then(short),
            self.first_token.quantile(0.99).and_then(short),
            self.gap.quantile(0.5).and_then(short),
            self.gap.quantile(0.99).and_then(short),
            self.hidden.quantile(0.5).and_then(short),
            self.hidden.quantile(0.99).and_then(short),
            self.lag.quantile(0.5).and_then(short),
            self.lag.quantile(0.99).and_then(short),
            end.busy.and_then(short),
            end.watts.and_then(short),
            (ended > 0.0).then(|| self.failed() / ended).and_then(short),
            (ended > 0.0).then(|| self.refused() / ended).and_then(short),
        ]
    }

    /// The figures of the window, not rounded, as Prometheus would compute them from the same two scrapes.
    pub(super) fn figures(&self) -> Value {
        let outcomes = Outcome::ALL.iter().zip(self.outcomes);
        let outcomes: Map<_, _> =
            outcomes.map(|(outcome, count)| (outcome.label().to_owned(), json!(count))).collect();
        json!({
            "tokens": self.content,
            "tokens_per_second": self.rate(self.content),
            "first_token": quantiles(&self.first_token),
            "gap": quantiles(&self.gap),
            "hidden": quantiles(&self.hidden),
            "queue_wait": quantiles(&self.queue_wait),
            "lag": quantiles(&self.lag),
            "outcomes": outcomes,
            "curve": self.bands.iter().filter_map(Band::figures).collect::<Vec<_>>(),
            "loads": self.loads,
            "joules_per_token": self.joules.filter(|_| self.output_tokens > 0.0).map(|joules| joules / self.output_tokens),
        })
    }

    /// For each figure without data, the reason.
    pub(super) fn missing(&self, surroundings: &SurroundingsReading) -> Value {
        let streamed = self.first_token.count() > 0;
        let nothing = "No token arrived in this time range.";
        let hidden = if streamed {
            "No stream ended with durations from Ollama. Responses of /v1 do not contain them."
        } else {
            "No stream ended in this time range."
        };
        let lag = match surroundings.collector("lag") {
            None => "collectors.lag is off.",
            Some(_) => "There is no reading yet.",
        };
        let gpu = match surroundings.collector("gpu") {
            None => "collectors.gpu is off, or this program was built without it.",
            Some(false) => {
                "No GPU can be read: the driver, the permission or the device in the container is missing. The log has the reason."
            }
            Some(true) => "There is no reading yet.",
        };
        let curve = self.bands.iter().any(|band| band.figures().is_some());
        let said = |there: bool, why: &str| (!there).then(|| why.to_owned());
        json!({
            "first_token": said(streamed, nothing),
            "gap": said(self.gap.count() > 0, "No stream had two chunks with content in this time range."),
            "hidden": said(self.hidden.count() > 0, hidden),
            "lag": said(self.lag.count() > 0, lag),
            "curve": said(curve, "No stream decoded for a second in this time range."),
            "outcomes": said(self.outcomes.iter().sum::<f64>() > 0.0, "No request ended in this time range."),
            "gpu": said(!surroundings.cards.is_empty(), gpu),
        })
    }

    fn rate(&self, count: f64) -> Option<f64> {
        (self.seconds > 0.0).then(|| count / self.seconds)
    }

    /// Requests that a limit or the queue refused.
    fn refused(&self) -> f64 {
        let outcomes = Outcome::ALL.into_iter().zip(self.outcomes);
        outcomes.filter(|(outcome, _)| *outcome == Outcome::Refused).map(|(_, count)| count).sum()
    }

    /// Requests to which an upstream gave a wrong response or none.
    fn failed(&self) -> f64 {
        let outcomes = Outcome::ALL.into_iter().zip(self.outcomes);
        outcomes.filter(|(outcome, _)| outcome.is_failure()).map(|(_, count)| count).sum()
    }
}

impl Band {
    fn since(self, earlier: Band) -> Band {
        Band {
            seconds: self.seconds - earlier.seconds,
            stream_seconds: self.stream_seconds - earlier.stream_seconds,
            tokens: grown(self.tokens, earlier.tokens),
        }
    }

    /// `None` for less than a second, which is too short for a rate.
    fn figures(&self) -> Option<Value> {
        (self.seconds >= 1.0).then(|| {
            json!({
                "streams": self.stream_seconds / self.seconds,
                "tokens_per_second": self.tokens / self.seconds,
                "seconds": self.seconds,
            })
        })
    }
}

fn quantiles(buckets: &Buckets) -> Value {
    json!({
        "count": buckets.count(),
        "p50": buckets.quantile(0.5),
        "p95": buckets.quantile(0.95),
        "p99": buckets.quantile(0.99),
    })
}

pub(super) fn card(card: &Card) -> Value {
    json!({
        "gpu": card.gpu,
        "name": card.name,
        "utilization": card.utilization,
        "watts": card.watts,
        "memory_used": card.memory_used,
        "memory_total": card.memory_total,
        "celsius": card.celsius,
        "clock_limits": card.clock_limits,
    })
}

/// The growth of a sum over models. When a model loses its label to another, its counts leave the sum, so that the
/// difference of that window can be negative. It counts as 0.
fn grown(last: f64, first: f64) -> f64 {
    (last - first).max(0.0)
}

/// Rounds to four digits, which is more than a plot shows.
fn short(value: f64) -> Option<f64> {
    if value == 0.0 || !value.is_finite() {
        return value.is_finite().then_some(0.0);
    }
    let unit = 10f64.powi(3 - value.abs().log10().floor() as i32);
    Some((value * unit).round() / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_point_has_four_digits() {
        assert_eq!(
            [0.0, 0.012_345_6, 123_456.0, 9.999_96].map(short),
            [0.0, 0.012_35, 123_500.0, 10.0].map(Some)
        );
        assert_eq!(short(f64::NAN), None);
    }
}
