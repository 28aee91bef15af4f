//! A histogram that a stream fills locally, and adds to the shared one every few chunks.
//!
//! prometheus's own `LocalHistogram` is not `Sync`, so a metered body could not be used in programs that need `Sync`.
//! Its `Histogram` takes one value at a time.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use prometheus::proto;

use super::{
    exemplar::Exemplar,
    family::Child,
    native::{NativeHistogram, NativeLayout, native_bound},
    scrape::Buckets,
};

/// The maximum number of buckets of a histogram that is filled locally, the one above the last bound included.
const SLOTS: usize = 144;

/// Counts by bucket, shared between streams. Values are 0 or greater, so no count and no sum ever decreases.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// The bounds that are exported.
    shown: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
    /// At most one for each exported bucket, by bucket.
    exemplars: Mutex<Vec<(usize, Exemplar)>>,
    /// The indices of the lowest and of the highest native bound, if it has native buckets.
    range: Option<(i32, i32)>,
}

impl Histogram {
    /// Creates an empty histogram. `bounds` ascend.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram::finer(bounds, bounds)
    }

    /// Creates an empty histogram that exports only the bounds `shown`, which are some of `bounds`.
    #[must_use]
    pub fn finer(bounds: &'static [f64], shown: &'static [f64]) -> Histogram {
        debug_assert!(shown.iter().all(|bound| bounds.contains(bound)), "what is shown is counted");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, shown, counts, sum: AtomicU64::new(0), exemplars: Mutex::default(), range: None }
    }

    /// Creates an empty histogram that has native buckets beside the classic ones.
    #[must_use]
    pub fn native_of(layout: &NativeLayout) -> Histogram {
        Histogram { range: Some(layout.range), ..Histogram::finer(layout.bounds, layout.classic) }
    }

    /// Creates an empty histogram with the classic buckets of a layout and, if so wanted, its native ones.
    #[must_use]
    pub fn maybe_native(has_native: bool, layout: &NativeLayout) -> Histogram {
        if has_native { Histogram::native_of(layout) } else { Histogram::new(layout.classic) }
    }

    /// Returns all of its bounds.
    #[must_use]
    pub fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// Returns its native and its classic buckets, which count the same values. `None`: it has no native ones.
    #[must_use]
    pub fn native(&self) -> Option<NativeHistogram> {
        let (first, last) = self.range?;
        let mut native =
            NativeHistogram { zero_threshold: native_bound(first), ..NativeHistogram::default() };
        let (mut index, mut classic, mut pending) = (first, self.shown.iter().peekable(), 0);
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            let count = count.load(Relaxed);
            (native.count, pending) = (native.count + count, pending + count);
            if classic.next_if_eq(&bound).is_some() {
                native.classic.push((*bound, native.count));
            }
            if index <= last && *bound == native_bound(index) {
                native.add(index, std::mem::take(&mut pending), first);
                index += 1;
            }
        }
        let above = self.counts[self.bounds.len()].load(Relaxed);
        native.count += above;
        native.add(last + 1, pending + above, first);
        native.sum = f64::from_bits(self.sum.load(Relaxed));
        Some(native)
    }

    /// Returns its counts by all of its bounds.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        Buckets::counted(self.bounds, self.counts.iter().map(|count| count.load(Relaxed)))
    }

    /// Adds one value. A negative value and NaN are ignored: the sum of a counter must not decrease, and a sum with
    /// NaN stays NaN.
    pub fn observe(&self, value: f64) {
        if !is_counted(value) {
            return;
        }
        self.counts[slot(self.bounds, value)].fetch_add(1, Relaxed);
        self.add_sum(value);
    }

    /// Adds `count` values that another histogram counted. None was above `upper`. The sum takes each of them as
    /// `middle`.
    pub fn observe_many(&self, upper: f64, middle: f64, count: u64) {
        if count == 0 || !is_counted(upper) || !is_counted(middle) {
            return;
        }
        self.counts[slot(self.bounds, upper)].fetch_add(count, Relaxed);
        self.add_sum(middle * count as f64);
    }

    /// Makes a value that was observed the exemplar of its exported bucket, in place of the one before. It takes a lock, so
    /// call it once for each stream.
    pub fn exemplify(&self, value: f64, trace: [u8; 16], at: SystemTime) {
        if !is_counted(value) {
            return;
        }
        let bucket = slot(self.shown, value);
        let exemplar = Exemplar { value, trace, at };
        let mut exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        match exemplars.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(index) => exemplars[index].1 = exemplar,
            Err(index) => exemplars.insert(index, (bucket, exemplar)),
        }
    }

    /// Returns the exemplars, with those of the lowest buckets first.
    #[must_use]
    pub fn exemplars(&self) -> Vec<Exemplar> {
        let exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        exemplars.iter().map(|(_, exemplar)| *exemplar).collect()
    }

    fn add_sum(&self, value: f64) {
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure never declines, so this call cannot fail.
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
        // The count is the sum of the buckets that were just read, so a scrape is consistent in itself.
        histogram.set_sample_count(cumulative + self.counts[self.bounds.len()].load(Relaxed));
        histogram.set_sample_sum(f64::from_bits(self.sum.load(Relaxed)));
        metric.set_histogram(histogram);
    }
}

/// The counts of one stream that are not in the shared histogram yet.
#[derive(Debug)]
pub struct LocalHistogram {
    shared: Arc<Histogram>,
    counts: [u8; SLOTS],
    pending: u8,
    sum: f64,
    highest: f64,
}

impl LocalHistogram {
    /// Creates an empty buffer for `shared`.
    #[must_use]
    pub fn new(shared: Arc<Histogram>) -> LocalHistogram {
        debug_assert!(shared.counts.len() <= SLOTS, "bounds are constants of this crate");
        LocalHistogram { shared, counts: [0; SLOTS], pending: 0, sum: 0.0, highest: 0.0 }
    }

    /// Adds one value to the buffer.
    pub fn observe(&mut self, value: f64) {
        if !is_counted(value) {
            return;
        }
        self.counts[slot(self.shared.bounds, value)] += 1;
        self.sum += value;
        self.highest = self.highest.max(value);
        self.pending += 1;
        if self.pending == u8::MAX {
            self.flush();
        }
    }

    /// Returns the highest value since the beginning, or 0 if there is none.
    #[must_use]
    pub fn highest(&self) -> f64 {
        self.highest
    }

    /// Adds the buffer to the shared histogram, and empties the buffer.
    pub fn flush(&mut self) {
        self.flush_with(|_, _| {});
    }

    /// Does what `flush` does, and also adds the buffer to the tally of one stream. At most 254 values may lie
    /// between two calls.
    pub fn flush_to(&mut self, tally: &Tally) {
        self.flush_with(|slot, count| {
            tally.counts[slot].fetch_add(u32::from(count), Relaxed);
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

/// The values of one stream so far, by the buckets of a histogram, for a quantile of the stream.
#[derive(Debug)]
pub struct Tally {
    /// Those of the histogram.
    bounds: &'static [f64],
    counts: [AtomicU32; SLOTS],
}

impl Tally {
    /// Creates an empty tally for a histogram with these bounds.
    #[must_use]
    pub const fn new(bounds: &'static [f64]) -> Tally {
        Tally { bounds, counts: [const { AtomicU32::new(0) }; SLOTS] }
    }

    /// Returns the value that a share `q` of all values does not exceed. Values are taken as evenly spread within a
    /// bucket, as in PromQL's `histogram_quantile`. Above the last bound, the result is that bound. `None`: there are
    /// no values.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let bounds = self.bounds;
        // Counts only grow, so that a value which comes between the two passes changes no more than the result.
        let counts = || self.counts.iter().take(bounds.len() + 1).map(|count| count.load(Relaxed));
        let total: u64 = counts().map(u64::from).sum();
        if total == 0 {
            return None;
        }
        let rank = q * total as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, count) in bounds.iter().zip(counts()) {
            let count = f64::from(count);
            if count > 0.0 && below + count >= rank {
                return Some(lower + (bound - lower) * (rank - below) / count);
            }
            below += count;
            lower = *bound;
        }
        Some(lower)
    }
}

/// Whether a value is counted: not negative and not NaN.
fn is_counted(value: f64) -> bool {
    value >= 0.0
}

/// Returns the first bucket whose bound is not below `value`.
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
    fn histogram_value_on_bound_belongs_below_and_buckets_add_up() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 3.0, f64::NAN] {
            histogram.observe(value);
        }
        assert_eq!(counts(&histogram), (vec![2, 4], 5, 8.0));
    }

    #[test]
    fn histogram_with_negative_value_lowers_no_sum() {
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
    fn histogram_quantiles_from_1_ms_to_1_s_are_within_a_tenth() {
        for step in 0..300 {
            // Three decades in 300 steps, with equal time in each.
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
    fn fine_histogram_shows_some_of_its_bounds_and_knows_all() {
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
    fn histogram_merges_external_counts_by_their_upper_bound() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        histogram.observe_many(1.0, 0.75, 2);
        histogram.observe_many(1.5, 1.25, 4);
        histogram.observe_many(f64::INFINITY, 3.0, 1);
        histogram.observe_many(0.5, f64::NAN, 1);
        assert_eq!(counts(&histogram), (vec![2, 6], 7, 9.5));
    }

    #[test]
    fn local_histogram_knows_quantiles_of_all_flushed_values() {
        let bounds = &[1.0, 2.0, 4.0];
        let tally = Tally::new(bounds);
        assert_eq!(tally.quantile(0.5), None);
        let shared = Arc::new(Histogram::new(bounds));
        let mut local = LocalHistogram::new(shared.clone());
        for values in [[0.5, 1.5, 1.6, 1.7], [1.8, 3.0, 3.0, 3.0]] {
            values.iter().for_each(|value| local.observe(*value));
            local.flush_to(&tally);
        }
        // One of eight values is up to 1, four more are up to 2, and the rest are up to 4.
        assert_eq!(tally.quantile(0.5), Some(1.75));
        assert_eq!(tally.quantile(0.99).map(|value| (value * 100.0).round()), Some(395.0));
        assert_eq!(counts(&shared), (vec![1, 5, 8], 8, 16.1));
        local.observe(9.0);
        local.flush_to(&tally);
        assert_eq!(tally.quantile(1.0), Some(4.0));
    }

    #[test]
    fn local_histogram_loses_nothing_if_flushed_full_or_dropped() {
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
