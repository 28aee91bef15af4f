//! A distribution for a plot, in bins.

#[cfg(any(test, feature = "experiment"))]
use std::collections::BTreeMap;

/// The ratio of the ends of a bin.
const RATIO: f64 = 1.01;
/// A logarithmic axis has no zero. This value, a microsecond, is below any visible one.
const LEAST: f64 = 1e-6;

/// How many values are in each bin. A bin is 1 % wide, less than a pixel of a plot on a logarithmic axis. So the memory
/// depends on how far the values differ, and not on their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve(Vec<(i16, u32)>);

impl Curve {
    /// Counts finite values in ascending order.
    pub(super) fn of_sorted(ascending: &[f64]) -> Curve {
        let width = RATIO.ln();
        let mut bins: Vec<(i16, u32)> = Vec::new();
        for value in ascending {
            let bin = (value.max(LEAST).ln() / width).floor() as i16;
            match bins.last_mut() {
                Some((last, count)) if *last == bin => *count = count.saturating_add(1),
                _ => bins.push((bin, 1)),
            }
        }
        bins.shrink_to_fit();
        Curve(bins)
    }

    /// Returns the distribution of the values of all curves.
    #[cfg(any(test, feature = "experiment"))]
    pub(crate) fn together<'a>(curves: impl IntoIterator<Item = &'a Curve>) -> Curve {
        let mut bins: BTreeMap<i16, u32> = BTreeMap::new();
        for (bin, count) in curves.into_iter().flat_map(|curve| &curve.0) {
            let all = bins.entry(*bin).or_default();
            *all = all.saturating_add(*count);
        }
        Curve(bins.into_iter().collect())
    }

    /// Whether there are no values.
    #[cfg(feature = "experiment")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the `q`-quantile, at most 1 % off. `None`: there are no values.
    #[cfg(any(test, feature = "experiment"))]
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let all: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        let wanted = q * all.checked_sub(1)? as f64;
        let mut below = 0.0;
        for (bin, count) in &self.0 {
            let count = f64::from(*count);
            if wanted < below + count {
                // The values are taken for evenly distributed within the bin.
                return Some(RATIO.powf(f64::from(*bin) + (wanted - below + 0.5) / count));
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::statistic::{Random, percentile_of_sorted};

    #[test]
    fn quantile_of_a_curve_differs_from_that_of_the_values_by_at_most_one_percent() {
        let mut random = Random::new(3);
        let mut parts: Vec<Vec<f64>> = vec![Vec::new(); 3];
        for place in 0..9000 {
            parts[place % 3].push(1e-4 * (6.0 * random.unit()).exp());
        }
        let mut all = parts.concat();
        all.sort_unstable_by(f64::total_cmp);
        for part in &mut parts {
            part.sort_unstable_by(f64::total_cmp);
        }
        let curves: Vec<Curve> = parts.iter().map(|part| Curve::of_sorted(part)).collect();
        let curve = Curve::together(&curves);
        for q in [0.0, 0.001, 0.25, 0.5, 0.9, 0.999, 1.0] {
            let (found, exact) = (curve.quantile(q).unwrap(), percentile_of_sorted(&all, q).unwrap());
            assert!((found / exact).ln().abs() < RATIO.ln(), "{q}: {found} for {exact}");
        }
        assert!(curve.0.len() < 700, "{} bins", curve.0.len());
        assert_eq!(Curve::default().quantile(0.5), None);
    }
}
