//! A histogram that a stream fills locally and adds up a few chunks at a time.
//!
//! prometheus's own `LocalHistogram` is not `Sync`, which would keep a metered body out of programs that need
//! it to be, and its `Histogram` takes one value at a time.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use prometheus::proto;

use super::{family::Child, scrape::Buckets};

/// The most buckets a histogram here has, the one above the last bound included.
const SLOTS: usize = 96;

/// Counts by bucket, shared. Values are 0 or greater, so that no count and no sum ever decreases.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Those of the bounds that the exposition has.
    shown: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one. `bounds` ascend; at most 95.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram::finer(bounds, bounds)
    }

    /// The same, of which the exposition has the bounds `shown` alone: some of `bounds`.
    #[must_use]
    pub fn finer(bounds: &'static [f64], shown: &'static [f64]) -> Histogram {
        assert!(bounds.len() < SLOTS, "bounds are constants of this crate");
        debug_assert!(shown.iter().all(|bound| bounds.contains(bound)), "what is shown is counted");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, shown, counts, sum: AtomicU64::new(0) }
    }

    /// Its counts by all of its bounds.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        Buckets::counted(self.bounds, self.counts.iter().map(|count| count.load(Relaxed)))
    }

    /// Adds one value. Below 0, or not a number: nothing is added, for a sum that falls is no counter, and one that is
    /// no number stays so.
    pub fn observe(&self, value: f64) {
        if !is_counted(value) {
            return;
        }
        self.counts[slot(self.bounds, value)].fetch_add(1, Relaxed);
        self.add_sum(value);
    }

    /// Adds `count` values that another histogram counted: none was above `upper`, and they were about `middle`
    /// each, which the sum takes for them.
    pub fn observe_many(&self, upper: f64, middle: f64, count: u64) {
        if count == 0 || !is_counted(upper) || !is_counted(middle) {
            return;
        }
        self.counts[slot(self.bounds, upper)].fetch_add(count, Relaxed);
        self.add_sum(middle * count as f64);
    }

    fn add_sum(&self, value: f64) {
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure never declines, so this cannot fail.
        let _ = self.sum.fetch_update(Relaxed, Relaxed, add);
    }
}

impl Child for Histogram {
    const TYPE: proto::MetricType = proto::MetricType::HISTOGRAM;

    fn write(&self, metric: &mut proto::Metric) {
        let (mut cumulative, mut shown) = (0, self.shown.iter().peekable());
        let mut buckets = Vec::with_capacity(self.shown.len());
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            cumulative += count.load(Relaxed);
            if shown.next_if_eq(&bound).is_some() {
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(cumulative);
                buckets.push(bucket);
            }
        }
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        // The count is that of the buckets just read, so that a scrape never contradicts itself.
        histogram.set_sample_count(cumulative + self.counts[self.bounds.len()].load(Relaxed));
        histogram.set_sample_sum(f64::from_bits(self.sum.load(Relaxed)));
        metric.set_histogram(histogram);
    }
}

/// Counts of one stream that are not in the shared histogram yet.
#[derive(Debug)]
pub struct LocalHistogram {
    shared: Arc<Histogram>,
    counts: [u8; SLOTS],
    pending: u8,
    sum: f64,
}

impl LocalHistogram {
    /// An empty buffer in front of `shared`.
    #[must_use]
    pub fn new(shared: Arc<Histogram>) -> LocalHistogram {
        LocalHistogram { shared, counts: [0; SLOTS], pending: 0, sum: 0.0 }
    }

    /// Adds one value to the buffer.
    pub fn observe(&mut self, value: f64) {
        if !is_counted(value) {
            return;
        }
        self.counts[slot(self.shared.bounds, value)] += 1;
        self.sum += value;
        self.pending += 1;
        if self.pending == u8::MAX {
            self.flush();
        }
    }

    /// Adds the buffer to the shared histogram and empties it.
    pub fn flush(&mut self) {
        self.flush_with(|_, _| {});
    }

    /// The same, and adds it to what one stream has had so far. Between two calls, 254 values at most.
    pub fn flush_to(&mut self, tally: &Tally) {
        self.flush_with(|slot, count| {
            tally.0[slot].fetch_add(u32::from(count), Relaxed);
        });
    }

    fn flush_with(&mut self, mut also: impl FnMut(usize, u8)) {
        if self.pending == 0 {
            return;
        }
        for (slot, (local, shared)) in self.counts.iter_mut().zip(&self.shared.counts).enumerate() {
            let count = std::mem::take(local);
            if count != 0 {
                shared.fetch_add(u64::from(count), Relaxed);
                also(slot, count);
            }
        }
        self.shared.add_sum(std::mem::take(&mut self.sum));
        self.pending = 0;
    }
}

impl Drop for LocalHistogram {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What one stream has had so far, by the buckets of a histogram: for a quantile of its own.
#[derive(Debug)]
pub struct Tally([AtomicU32; SLOTS]);

impl Default for Tally {
    fn default() -> Tally {
        Tally(std::array::from_fn(|_| AtomicU32::new(0)))
    }
}

impl Tally {
    /// The value that a part `q` of all values does not exceed, evenly spread within a bucket, as Prometheus'
    /// `histogram_quantile` has it; above the last bound it is that bound. `None` without values.
    #[must_use]
    pub fn quantile(&self, bounds: &[f64], q: f64) -> Option<f64> {
        let counts: [u32; SLOTS] = std::array::from_fn(|slot| self.0[slot].load(Relaxed));
        let total: u64 = counts.iter().copied().map(u64::from).sum();
        let rank = q * total as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, count) in bounds.iter().zip(counts) {
            let count = f64::from(count);
            if count > 0.0 && below + count >= rank {
                return Some(lower + (bound - lower) * (rank - below) / count);
            }
            below += count;
            lower = *bound;
        }
        (total > 0).then_some(lower)
    }
}

/// Neither below 0 nor no number.
fn is_counted(value: f64) -> bool {
    value >= 0.0
}

/// The first bucket whose bound is not below `value`.
fn slot(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::buckets;

    fn counts(histogram: &Histogram) -> (Vec<u64>, u64, f64) {
        let mut metric = proto::Metric::default();
        histogram.write(&mut metric);
        let written = metric.get_histogram();
        let buckets = written.get_bucket().iter().map(|bucket| bucket.cumulative_count()).collect();
        (buckets, written.get_sample_count(), written.get_sample_sum())
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it_and_buckets_add_up() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 3.0, f64::NAN] {
            histogram.observe(value);
        }
        assert_eq!(counts(&histogram), (vec![2, 4], 5, 8.0));
    }

    #[test]
    fn negative_value_lowers_no_sum() {
        let shared = Arc::new(Histogram::new(&[1.0, 2.0]));
        shared.observe(1.5);
        shared.observe(-36_000.0);
        shared.observe_many(-1.0, -2.0, 3);
        let mut local = LocalHistogram::new(shared.clone());
        local.observe(-0.1);
        local.observe(0.5);
        local.flush();
        assert_eq!(counts(&shared), (vec![1, 2], 2, 2.0));
    }

    #[test]
    fn quantiles_of_gaps_from_a_millisecond_to_a_second_are_right_to_a_tenth() {
        for step in 0..300 {
            // Three decades in 300 steps, each gap as long as the others.
            let gap = 0.001 * 10_f64.powf(f64::from(step) / 100.0);
            let histogram = Histogram::finer(buckets::GAP_FINE, buckets::GAP);
            (0..100).for_each(|_| histogram.observe(gap));
            for q in [0.01, 0.5, 0.99] {
                let read = histogram.buckets().quantile(q).unwrap();
                assert!((read / gap - 1.0).abs() <= 0.1, "{q} of {gap} is {read}");
            }
        }
    }

    #[test]
    fn finer_histogram_shows_some_of_its_bounds_and_knows_all() {
        let histogram = Histogram::finer(&[1.0, 1.5, 2.0, 2.5], &[1.0, 2.0]);
        for value in [0.5, 1.2, 1.7, 2.2, 9.0] {
            histogram.observe(value);
        }
        assert_eq!(counts(&histogram), (vec![1, 3], 5, 14.6));
        let buckets = histogram.buckets();
        assert_eq!((buckets.count(), buckets.quantile(0.8)), (5, Some(2.5)));
        assert_eq!(buckets.quantile(0.4), Some(1.5));
    }

    #[test]
    fn values_counted_elsewhere_go_where_their_upper_bound_belongs() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        histogram.observe_many(1.0, 0.75, 2);
        histogram.observe_many(1.5, 1.25, 4);
        histogram.observe_many(f64::INFINITY, 3.0, 1);
        histogram.observe_many(0.5, f64::NAN, 1);
        assert_eq!(counts(&histogram), (vec![2, 6], 7, 9.5));
    }

    #[test]
    fn a_stream_knows_the_quantiles_of_all_that_it_flushed() {
        let bounds = &[1.0, 2.0, 4.0];
        let tally = Tally::default();
        assert_eq!(tally.quantile(bounds, 0.5), None);
        let shared = Arc::new(Histogram::new(bounds));
        let mut local = LocalHistogram::new(shared.clone());
        for values in [[0.5, 1.5, 1.6, 1.7], [1.8, 3.0, 3.0, 3.0]] {
            values.iter().for_each(|value| local.observe(*value));
            local.flush_to(&tally);
        }
        // One of eight up to 1, four more up to 2, the rest up to 4.
        assert_eq!(tally.quantile(bounds, 0.5), Some(1.75));
        assert_eq!(tally.quantile(bounds, 0.99).map(|value| (value * 100.0).round()), Some(395.0));
        assert_eq!(counts(&shared), (vec![1, 5, 8], 8, 16.1));
        local.observe(9.0);
        local.flush_to(&tally);
        assert_eq!(tally.quantile(bounds, 1.0), Some(4.0));
    }

    #[test]
    fn a_local_buffer_loses_nothing_when_it_is_flushed_full_or_dropped() {
        let shared = Arc::new(Histogram::new(&[1.0]));
        let mut local = LocalHistogram::new(shared.clone());
        for _ in 0..70_000 {
            local.observe(0.5);
        }
        local.observe(2.0);
        drop(local);
        assert_eq!(counts(&shared), (vec![70_000], 70_001, 35_002.0));
    }
}
