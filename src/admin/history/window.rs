//! The difference between two readings.

use serde_json::{Map, Value, json};

use super::reading::{Band, Card, Reading, SurroundingsReading};
use crate::{meter::Outcome, metric::Buckets};

/// The columns of a point, in order.
pub(super) const COLUMNS: [&str; 15] = [
    "seconds",
    "streams",
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
];

/// The difference between two readings.
pub(super) struct Window {
    pub(super) seconds: f64,
    content: f64,
    outcomes: [f64; 7],
    first_token: Buckets,
    gap: Buckets,
    hidden: Buckets,
    lag: Buckets,
    bands: [Band; 8],
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
            lag: last.lag.since(&first.lag),
            bands: std::array::from_fn(|at| last.bands[at].since(first.bands[at])),
        }
    }

    /// One point of the plots.
    pub(super) fn point(&self, seconds: f64, now: &Reading) -> Value {
        let ended: f64 = self.outcomes.iter().sum();
        json!([
            (seconds * 10.0).round() / 10.0,
            short(now.streams),
            short(now.queued),
            self.rate(self.content).and_then(short),
            self.first_token.quantile(0.5).and_then(short),
            self.first_token.quantile(0.99).and_then(short),
            self.gap.quantile(0.5).and_then(short),
            self.gap.quantile(0.99).and_then(short),
            self.hidden.quantile(0.5).and_then(short),
            self.hidden.quantile(0.99).and_then(short),
            self.lag.quantile(0.5).and_then(short),
            self.lag.quantile(0.99).and_then(short),
            now.busy.and_then(short),
            now.watts.and_then(short),
            (ended > 0.0).then(|| self.failed() / ended).and_then(short),
        ])
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
            "lag": quantiles(&self.lag),
            "outcomes": outcomes,
            "curve": self.bands.iter().filter_map(Band::figures).collect::<Vec<_>>(),
        })
    }

    /// For each figure without data, the reason.
    pub(super) fn missing(&self, surroundings: &SurroundingsReading) -> Value {
        let streamed = self.first_token.count() > 0;
        let nothing = "No token arrived in the last ten minutes.";
        let hidden = if streamed {
            "No stream ended with durations from Ollama. Responses of /v1 do not contain them."
        } else {
            "No stream ended in the last ten minutes."
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
            "gap": said(self.gap.count() > 0, "No stream had two chunks with content in the last ten minutes."),
            "hidden": said(self.hidden.count() > 0, hidden),
            "lag": said(self.lag.count() > 0, lag),
            "curve": said(curve, "No stream decoded for a second in the last ten minutes."),
            "outcomes": said(self.outcomes.iter().sum::<f64>() > 0.0, "No request ended in the last ten minutes."),
            "gpu": said(!surroundings.cards.is_empty(), gpu),
        })
    }

    fn rate(&self, count: f64) -> Option<f64> {
        (self.seconds > 0.0).then(|| count / self.seconds)
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
    json!({"count": buckets.count(), "p50": buckets.quantile(0.5), "p99": buckets.quantile(0.99)})
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
