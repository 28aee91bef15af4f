//! The native histograms of several families, for one scrape.

use prometheus::proto;

use super::{Family, Histogram, NativeHistogram, by_series::BySeries};

/// Native histograms for one scrape, by family and labels.
#[derive(Debug, Default)]
pub struct NativeHistograms(BySeries<NativeHistogram>);

impl NativeHistograms {
    /// Adds the present values of a family whose histograms have native buckets.
    pub fn add<const N: usize>(&mut self, family: &Family<Histogram, N>) {
        self.0.add(family, Histogram::native);
    }

    /// Returns the histogram of a series, if it has native buckets.
    #[must_use]
    pub fn of(&self, family: &str, metric: &proto::Metric) -> Option<&NativeHistogram> {
        self.0.of(family, metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Child, NativeLayout, buckets, native_bound};

    const LAYOUTS: [&NativeLayout; 3] =
        [&buckets::GAP_NATIVE, &buckets::PHASE_NATIVE, &buckets::FIRST_TOKEN_NATIVE];

    #[test]
    fn bound_is_a_power_of_the_eighth_root_of_two() {
        assert_eq!([-16, -8, 0, 8, 24].map(native_bound), [0.25, 0.5, 1.0, 2.0, 8.0]);
        for index in -100..100 {
            let exact = (f64::from(index) / 8.0).exp2();
            assert!((native_bound(index) / exact - 1.0).abs() < 1e-15, "{index}");
        }
    }

    #[test]
    fn layout_has_every_bound_of_both_kinds_once() {
        for layout in LAYOUTS {
            assert!(layout.bounds.is_sorted_by(|one, next| one < next), "{layout:?}");
            assert!(layout.classic.iter().all(|bound| layout.bounds.contains(bound)), "{layout:?}");
            let (first, last) = layout.range;
            assert!((first..=last).all(|index| layout.bounds.contains(&native_bound(index))), "{layout:?}");
            // The classic bounds lie in the range, so that no value that they tell apart is outside.
            let (low, high) = (native_bound(first), native_bound(last));
            assert!(layout.classic.iter().all(|bound| (low..=high).contains(bound)), "{layout:?}");
        }
    }

    #[test]
    fn native_and_classic_buckets_count_the_same_values() {
        for layout in LAYOUTS {
            let (native, plain) = (Histogram::native_of(layout), Histogram::new(layout.classic));
            let mut values: Vec<_> =
                layout.bounds.iter().flat_map(|bound| [*bound, bound * 1.000_001]).collect();
            values.extend([0.0, 1e-9, 1e6]);
            for value in &values {
                native.observe(*value);
                plain.observe(*value);
            }
            let (mut one, mut other) = (proto::Metric::default(), proto::Metric::default());
            native.write(&mut one);
            plain.write(&mut other);
            assert_eq!(one, other, "the text format does not change");

            let found = native.native().unwrap();
            let classic = other.get_histogram().get_bucket().iter();
            let classic: Vec<_> =
                classic.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
            assert_eq!(found.classic, classic);
            assert_eq!(found.count, values.len() as u64);
            let expected = |index: i32| {
                let (low, high) = (native_bound(index - 1), native_bound(index));
                let is_last = index == layout.range.1 + 1;
                values.iter().filter(|value| **value > low && (**value <= high || is_last)).count() as u64
            };
            let below = values.iter().filter(|value| **value <= found.zero_threshold).count() as u64;
            assert_eq!((found.zero_threshold, found.zero_count), (native_bound(layout.range.0), below));
            for index in layout.range.0 + 1..=layout.range.1 + 1 {
                let count =
                    found.buckets.iter().find(|(known, _)| *known == index).map_or(0, |(_, count)| *count);
                assert_eq!(count, expected(index), "{index}");
            }
            assert!(found.buckets.is_sorted_by(|one, next| one.0 < next.0));
            let all: u64 = found.buckets.iter().map(|(_, count)| count).sum();
            assert_eq!(found.zero_count + all, found.count, "Prometheus refuses another count");
            assert!(plain.native().is_none());
        }
    }
}
