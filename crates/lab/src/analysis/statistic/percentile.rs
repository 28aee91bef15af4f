//! Percentiles, and intervals of percentiles that assume no distribution.

use super::{
    Interval,
    distribution::binomial_quantile,
    undefined::{Undefined, demand, demand_level},
};

/// Returns the `q`-quantile, `q` from 0 to 1, of values in any order. Between two values it interpolates linearly, as
/// numpy does by default: type 7 of Hyndman and Fan, "Sample quantiles in statistical packages", The American
/// Statistician 50 (1996).
///
/// # Errors
/// There is no value, a value is not finite, or `q` is out of range.
pub fn percentile(values: &[f64], q: f64) -> Result<f64, Undefined> {
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
pub fn percentile_of_sorted(ascending: &[f64], q: f64) -> Option<f64> {
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

/// Returns an interval for the `q`-quantile of the population, from two values of the sample (order statistics):
/// Conover, "Practical Nonparametric Statistics", 3rd ed., 3.2. It covers with a probability of at least `level`, for
/// any distribution, if the values are independent. The gaps of one stream are not independent: calculate a
/// percentile per run, and the interval over runs.
///
/// # Errors
/// [`Undefined::TooFew`] if the sample is too small to bound this quantile on both sides, with the size that is
/// needed; values that are not finite; `q` or `level` out of range.
pub fn percentile_interval(values: &[f64], q: f64, level: f64) -> Result<Interval, Undefined> {
    demand(values, 1)?;
    demand_level(level)?;
    if !(q > 0.0 && q < 1.0) {
        return Err(Undefined::OutOfRange("the quantile"));
    }
    let tail = 0.5 * (1.0 - level);
    let n = values.len();
    let Some((low, high)) = order(n, q, tail) else {
        // All n values lie on one side of the quantile with probability q^n or (1 − q)^n.
        let extreme = q.max(1.0 - q);
        let mut need = ((tail.ln() / extreme.ln()).floor() as usize).max(n + 1);
        while order(need, q, tail).is_none() {
            need += 1;
        }
        return Err(Undefined::TooFew { have: n, need });
    };
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    Ok(Interval { low: values[low], high: values[high], level })
}

/// Returns the indices of the two order statistics, from 0.
fn order(n: usize, q: f64, tail: f64) -> Option<(usize, usize)> {
    let low = binomial_quantile(tail, n as u64, q).checked_sub(1)?;
    let high = binomial_quantile(1.0 - tail, n as u64, q);
    (high < n as u64).then_some((low as usize, high as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_of_too_small_sample_says_how_large_it_must_be() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let Err(Undefined::TooFew { have: 100, need }) = percentile_interval(&values[..100], 0.99, 0.95)
        else {
            panic!("100 values bound no p99");
        };
        assert!(percentile_interval(&values[..need - 1], 0.99, 0.95).is_err());
        assert!(percentile_interval(&values[..need], 0.99, 0.95).is_ok());
    }

    #[test]
    fn percentile_is_the_same_for_unsorted_values() {
        let values = [5.0, 1.0, 4.0, 2.0];
        assert_eq!(percentile(&values, 0.5), Ok(3.0));
        assert_eq!(percentile_of_sorted(&[1.0, 2.0, 4.0, 5.0], 0.5), Some(3.0));
        assert_eq!(percentile(&values, 1.0), Ok(5.0));
        assert_eq!(percentile_of_sorted(&[], 0.5), None);
    }
}
