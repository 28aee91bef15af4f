//! Translates a histogram of Tokio into one of Prometheus.

use std::{ops::Range, sync::Arc, time::Duration};

use streamgauge_meter::metric::Histogram;

/// Adds the counts of Tokio's buckets, which only grow, to our buckets. If a bucket of Tokio spans one of our bounds,
/// its values count as above the bound, because only their upper limit is known.
#[derive(Debug)]
pub(super) struct Tally {
    buckets: Vec<Bucket>,
    into: Arc<Histogram>,
}

#[derive(Debug)]
struct Bucket {
    /// The upper end, seconds.
    upper: f64,
    middle: f64,
    seen: u64,
}

impl Tally {
    /// Creates a tally. `ranges` are the ranges of Tokio's buckets; without any, the runtime has no such histogram.
    pub(super) fn new(ranges: impl Iterator<Item = Range<Duration>>, into: Arc<Histogram>) -> Tally {
        let buckets = ranges.map(|range| {
            // Tokio represents the open end of the last bucket as 2^64 - 1 ns.
            let endless = range.end == Duration::from_nanos(u64::MAX);
            let (start, end) = (range.start.as_secs_f64(), range.end.as_secs_f64());
            Bucket {
                upper: if endless { f64::INFINITY } else { end },
                middle: if endless { start } else { start.midpoint(end) },
                seen: 0,
            }
        });
        Tally { buckets: buckets.collect(), into }
    }

    /// Adds the counts since the last call. `count` returns the count of a bucket since the runtime started.
    pub(super) fn read(&mut self, count: impl Fn(usize) -> u64) {
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            let count = count(index);
            let new = count.saturating_sub(bucket.seen);
            self.into.observe_many(bucket.upper, bucket.middle, new);
            bucket.seen = count.max(bucket.seen);
        }
    }

    /// Whether the runtime has no such histogram.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto;

    use super::*;
    use streamgauge_meter::metric::Child;

    #[test]
    fn tally_carries_counts_over_once_and_rounds_straddling_buckets_up() {
        let us = Duration::from_micros;
        let ranges = [
            us(0)..us(500),
            us(500)..us(1_000),
            us(1_000)..us(2_000),
            us(2_000)..Duration::from_nanos(u64::MAX),
        ];
        let into = Arc::new(Histogram::new(&[0.000_5, 0.001_5, 0.01]));
        let mut tally = Tally::new(ranges.into_iter(), into.clone());
        tally.read(|bucket| [4, 3, 2, 1][bucket]);
        tally.read(|bucket| [4, 3, 2, 1][bucket]);
        tally.read(|bucket| [5, 3, 2, 1][bucket]);
        let mut metric = proto::Metric::default();
        into.write(&mut metric);
        let histogram = metric.get_histogram();
        let counts: Vec<_> = histogram.get_bucket().iter().map(|bucket| bucket.cumulative_count()).collect();
        assert_eq!((counts, histogram.get_sample_count()), (vec![5, 8, 10], 11));
        let sum = 5.0 * 0.000_25 + 3.0 * 0.000_75 + 2.0 * 0.001_5 + 0.002;
        assert!((histogram.get_sample_sum() - sum).abs() < 1e-9);
    }
}
