//! The difference between two readings.

use crate::metric::Buckets;

/// Counts of the interval, and the gauges at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Interval {
    pub(super) seconds: f64,
    /// Requests that generate and have not ended.
    pub(super) streams: f64,
    /// Records with content, thinking or a tool call, counted as they arrive, so that streams which break off count
    /// too.
    pub(super) content_records: f64,
    /// Output tokens that Ollama reported at the end of streams.
    pub(super) tokens: f64,
    pub(super) stream_seconds: f64,
    pub(super) busy_seconds: f64,
    pub(super) gap: Buckets,
    pub(super) first_token: Buckets,
    pub(super) outcomes: Vec<(String, u64)>,
}

impl Interval {
    /// Content records per second. The simulated Ollama writes one record for each token.
    pub(super) fn token_rate(&self) -> f64 {
        if self.seconds > 0.0 { self.content_records / self.seconds } else { 0.0 }
    }

    /// The mean number of concurrent streams while there was at least one; `None` if there was none.
    pub(super) fn overlap(&self) -> Option<f64> {
        (self.busy_seconds > 0.0).then(|| self.stream_seconds / self.busy_seconds)
    }

    /// Formats as `p50 21 ms  p99 44 ms`.
    pub(super) fn quantiles(buckets: &Buckets) -> String {
        let [p50, p99] = [0.5, 0.99].map(|q| buckets.quantile(q).map_or("-".to_owned(), time));
        format!("p50 {p50:>7}  p99 {p99:>7}")
    }

    /// The outcomes that occurred, as `client_abort 3`, `complete 12`.
    pub(super) fn counted(&self) -> Vec<String> {
        let counted = self.outcomes.iter().filter(|(_, count)| *count > 0);
        counted.map(|(outcome, count)| format!("{outcome} {count}")).collect()
    }
}

/// Seconds with about three digits.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_its_shortest_unit() {
        assert_eq!([0.000_25, 0.0042, 0.021, 1.5].map(time), ["250 µs", "4.2 ms", "21 ms", "1.50 s"]);
    }

    #[test]
    fn idle_interval_has_no_overlap_and_no_quantiles() {
        let idle = Interval { seconds: 1.0, ..Interval::default() };
        assert_eq!((idle.overlap(), idle.token_rate()), (None, 0.0));
        assert_eq!(Interval::quantiles(&idle.gap), "p50       -  p99       -");
        let busy = Interval { stream_seconds: 2.5, busy_seconds: 1.0, ..idle };
        assert_eq!(busy.overlap(), Some(2.5));
    }
}
