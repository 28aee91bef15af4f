//! A histogram of a scrape, and its quantiles.

use std::{borrow::Cow, iter};

use prometheus::proto;

/// Cumulative counts by upper bound. There is one more count than bounds: the last one is the number of all values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    bounds: Cow<'static, [f64]>,
    counts: Box<[u64]>,
}

impl Buckets {
    /// Reads the buckets of one child.
    #[must_use]
    pub fn of(histogram: &proto::Histogram) -> Buckets {
        let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
        let bounds: Vec<_> = finite.clone().map(|bucket| bucket.upper_bound()).collect();
        let counts = finite.map(|bucket| bucket.cumulative_count()).chain([histogram.get_sample_count()]);
        Buckets { bounds: bounds.into(), counts: counts.collect() }
    }

    /// Converts counts that are not cumulative. There is one more count than bounds.
    pub(in crate::metric) fn counted(bounds: &'static [f64], counts: impl Iterator<Item = u64>) -> Buckets {
        let cumulative = counts.scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Buckets { bounds: bounds.into(), counts: cumulative.collect() }
    }

    /// Adds two histograms, which have the same bounds, as children of one family do.
    #[must_use]
    pub fn plus(mut self, other: Buckets) -> Buckets {
        if self.counts.is_empty() {
            return other;
        }
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self
    }

    /// Returns the values that came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Buckets) -> Buckets {
        let before = earlier.counts.iter().copied().chain(iter::repeat(0));
        let counts = self.counts.iter().zip(before).map(|(count, before)| count.saturating_sub(before));
        Buckets { bounds: self.bounds.clone(), counts: counts.collect() }
    }

    /// Returns the number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.last().copied().unwrap_or_default()
    }

    /// Returns the result of PromQL's `histogram_quantile(q, …)`, for 0 < q ≤ 1. Values are taken as evenly spread
    /// within their bucket, and from 0 in the first bucket. Above the last finite bound, the result is that bound.
    /// `None`: there are no values.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = Some(self.count()).filter(|total| *total > 0)?;
        let rank = q * total as f64;
        let at = self.counts.iter().position(|count| *count as f64 >= rank)?;
        let (start, below) =
            at.checked_sub(1).map_or((0.0, 0), |before| (self.bounds[before], self.counts[before]));
        let Some(end) = self.bounds.get(at) else { return Some(start) };
        Some(start + (end - start) * (rank - below as f64) / (self.counts[at] - below) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: [u64; 4]) -> Buckets {
        Buckets { bounds: vec![0.1, 0.5, 1.0].into(), counts: counts.into() }
    }

    /// Each expected value follows the formula of the documentation: start + (end - start) * (rank - below) / (count
    /// - below).
    #[test]
    fn quantile_of_buckets_equals_promql() {
        let close = |found: Option<f64>, wanted: f64| {
            let found = found.unwrap();
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        };
        let spread = buckets([20, 60, 90, 100]);
        close(spread.quantile(0.1), 0.05); // rank 10 of 20 in 0..0.1
        close(spread.quantile(0.2), 0.1); // rank 20, the whole of the first
        close(spread.quantile(0.5), 0.4); // rank 50, 30 of 40 in 0.1..0.5
        close(spread.quantile(0.9), 1.0); // rank 90, the whole of 0.5..1
        close(spread.quantile(0.99), 1.0); // above the last bound
        // Empty buckets are skipped.
        close(buckets([0, 0, 4, 4]).quantile(0.5), 0.75);
        close(buckets([2, 2, 4, 4]).quantile(0.75), 0.75);
    }

    #[test]
    fn quantile_of_no_values_is_none() {
        assert_eq!(buckets([0; 4]).quantile(0.5), None);
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn buckets_of_an_interval_contain_its_values_only() {
        let (earlier, later) = (buckets([1, 2, 3, 4]), buckets([1, 4, 6, 7]));
        assert_eq!(later.since(&earlier), buckets([0, 2, 3, 3]));
        assert_eq!(later.since(&Buckets::default()), later);
        assert_eq!(earlier.clone().plus(buckets([1, 1, 1, 1])), buckets([2, 3, 4, 5]));
        assert_eq!((later.count(), Buckets::default().count()), (7, 0));
    }

    #[test]
    fn buckets_count_values_above_every_bound() {
        let histogram = crate::metric::Histogram::new(&[1.0, 2.0]);
        histogram.observe(0.5);
        histogram.observe(3.0);
        let mut metric = proto::Metric::default();
        crate::metric::Child::write(&histogram, &mut metric);
        let read = Buckets::of(metric.get_histogram());
        assert_eq!(read, Buckets { bounds: vec![1.0, 2.0].into(), counts: [1, 1, 2].into() });
        assert_eq!(read, histogram.buckets());
    }
}
