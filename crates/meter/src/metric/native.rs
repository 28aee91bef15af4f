//! Native histograms of Prometheus: buckets whose bounds grow by the eighth root of 2 (schema 3), of which only those with
//! values are sent.
//!
//! The histogram counts by all bounds of both kinds, native and classic. Both are therefore sums of the same counts, and
//! a chunk costs no more than with classic buckets alone.

/// The number of buckets for each doubling, as the power of 2.
pub const NATIVE_SCHEMA: i32 = 3;

/// The upper bounds between 0.5 and 1, as Prometheus's own clients calculate them.
const FRACTIONS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_5,
    0.917_004_043_204_671_2,
];

/// The bounds of a histogram that has native and classic buckets.
#[derive(Clone, Copy, Debug)]
pub struct NativeLayout {
    /// All bounds, ascending.
    pub(super) bounds: &'static [f64],
    /// The bounds of the classic buckets.
    pub(super) classic: &'static [f64],
    /// The indices of the bound of the zero bucket, and of the highest bound.
    pub(super) range: (i32, i32),
}

impl NativeLayout {
    /// Puts the two together. `bounds` are the result of [`merged`] for the same arguments.
    pub(super) const fn new(
        bounds: &'static [f64],
        classic: &'static [f64],
        range: (i32, i32),
    ) -> NativeLayout {
        NativeLayout { bounds, classic, range }
    }

    /// Returns all bounds.
    #[must_use]
    pub const fn bounds(&self) -> &'static [f64] {
        self.bounds
    }
}

/// Returns the upper bound of the bucket with this index: 2 to the power of an eighth of it.
#[must_use]
pub const fn native_bound(index: i32) -> f64 {
    let mut bound = FRACTIONS[index.rem_euclid(8) as usize];
    let mut doublings = index.div_euclid(8) + 1;
    while doublings > 0 {
        bound *= 2.0;
        doublings -= 1;
    }
    while doublings < 0 {
        bound /= 2.0;
        doublings += 1;
    }
    bound
}

/// Returns the bounds of `classic` and the native ones of this range, ascending and each once. `N` is their number; a wrong
/// `N` does not compile.
pub(super) const fn merged<const N: usize>(classic: &[f64], (first, last): (i32, i32)) -> [f64; N] {
    let mut all = [0.0; N];
    let (mut at, mut index, mut other) = (0, first, 0);
    while index <= last || other < classic.len() {
        let native = if index <= last { native_bound(index) } else { f64::INFINITY };
        let bound = if other < classic.len() && classic[other] < native { classic[other] } else { native };
        if native == bound {
            index += 1;
        }
        if other < classic.len() && classic[other] == bound {
            other += 1;
        }
        all[at] = bound;
        at += 1;
    }
    assert!(at == N, "the number of bounds is another");
    all
}

/// The buckets of one series at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {
    /// The number of all values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The upper bound of the zero bucket.
    pub zero_threshold: f64,
    /// The values in the zero bucket.
    pub zero_count: u64,
    /// The index and the count of each bucket that has values. A value above the highest bound is in the bucket above it.
    pub buckets: Vec<(i32, u64)>,
    /// The bound and the cumulative count of each classic bucket, the one of +Inf excluded.
    pub classic: Vec<(f64, u64)>,
}

impl NativeHistogram {
    /// Adds a bucket. The one with the index `zero` is the zero bucket.
    pub(super) fn add(&mut self, index: i32, count: u64, zero: i32) {
        if index == zero {
            self.zero_count = count;
        } else if count > 0 {
            self.buckets.push((index, count));
        }
    }
}
