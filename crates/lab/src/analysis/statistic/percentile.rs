//! Percentiles.

#[cfg(any(test, feature = "experiment"))]
use super::undefined::{Undefined, demand};

/// Returns the `q`-quantile, `q` from 0 to 1, of values in any order. Between two values it interpolates linearly, as
/// numpy does by default: type 7 of Hyndman and Fan, "Sample quantiles in statistical packages", The American
/// Statistician 50 (1996).
///
/// # Errors
/// There is no value, a value is not finite, or `q` is out of range.
#[cfg(any(test, feature = "experiment"))]
pub(crate) fn percentile(values: &[f64], q: f64) -> Result<f64, Undefined> {
    demand(values, 1)?;
    if !(0.0..=1.0).contains(&q) {
        return Err(Undefined::OutOfRange("the quantile"));
    }
    let mut values = values.to_vec();
    let (below, weight) = place(values.len(), q);
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*low);
    Ok(between(*low, next, weight))
}

/// Returns the quantile of finite values in ascending order, for code that needs many quantiles of one sample.
/// `None`: there are no values.
#[must_use]
pub(crate) fn percentile_of_sorted(ascending: &[f64], q: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let (below, weight) = place(ascending.len(), q.clamp(0.0, 1.0));
    Some(between(ascending[below], ascending[last.min(below + 1)], weight))
}

fn place(len: usize, q: f64) -> (usize, f64) {
    let place = q * (len - 1) as f64;
    (place.floor() as usize, place.fract())
}

fn between(low: f64, high: f64, weight: f64) -> f64 {
    // If both values are equal, the result has to be that value, without a rounding error.
    if low == high { low } else { low + weight * (high - low) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_same_for_unsorted_values() {
        let values = [5.0, 1.0, 4.0, 2.0];
        assert_eq!(percentile(&values, 0.5), Ok(3.0));
        assert_eq!(percentile_of_sorted(&[1.0, 2.0, 4.0, 5.0], 0.5), Some(3.0));
        assert_eq!(percentile(&values, 1.0), Ok(5.0));
        assert_eq!(percentile_of_sorted(&[], 0.5), None);
    }
}
