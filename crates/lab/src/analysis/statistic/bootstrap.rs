//! Bootstrap intervals, for statistics without a formula.

use serde::Serialize;

use super::{
    Interval, Random,
    distribution::{normal_cdf, normal_quantile},
    percentile::percentile_of_sorted,
    sum::{centre, sum, variance},
    undefined::{Undefined, demand, demand_level},
};

/// The bootstrap result for a statistic, in the statistic's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Bootstrap {
    /// The statistic of the sample itself.
    pub(crate) value: f64,
    /// The bias-corrected and accelerated interval.
    pub(crate) interval: Interval,
    /// The standard deviation of the statistic over resamples.
    pub(crate) standard_error: f64,
    /// The number of resamples.
    pub(crate) resamples: usize,
}

/// Returns the BCa interval of `statistic` over `values`: Efron and Tibshirani, "An Introduction to the Bootstrap"
/// (1993), 14.3. The fraction below the estimate counts ties by half, as scipy does. Below some fifty values the
/// interval is too short, and a t interval is better for means.
///
/// # Errors
/// There are fewer than two values, a value is not finite, or the statistic does not vary over resamples.
pub(crate) fn bca(
    values: &[f64],
    statistic: impl Fn(&[f64]) -> f64,
    level: f64,
    resamples: usize,
    random: &mut Random,
) -> Result<Bootstrap, Undefined> {
    demand(values, 2)?;
    demand_level(level)?;
    let bound = u32::try_from(values.len()).map_err(|_| Undefined::OutOfRange("the sample's size"))?;
    let value = statistic(values);
    let mut resample = vec![0.0; values.len()];
    let mut estimates = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        resample.fill_with(|| values[random.below(bound) as usize]);
        estimates.push(statistic(&resample));
    }
    demand(&estimates, 2)?;
    let standard_error = variance(&estimates)?.sqrt();
    if standard_error == 0.0 {
        return Err(Undefined::Constant);
    }
    estimates.sort_unstable_by(f64::total_cmp);
    let below = estimates.partition_point(|estimate| *estimate < value);
    let not_above = estimates.partition_point(|estimate| *estimate <= value);
    let bias = normal_quantile((below + not_above) as f64 / (2 * resamples) as f64);
    if bias.is_infinite() {
        // The estimate lies beyond all resamples, as that of an extreme does. No bootstrap works for it.
        return Err(Undefined::OutOfRange("the estimate among its resamples"));
    }
    let acceleration = acceleration(values, &statistic);
    let tail = normal_quantile(0.5 * (1.0 - level));
    let end = |z: f64| {
        let shifted = bias + z;
        percentile_of_sorted(&estimates, normal_cdf(bias + shifted / (1.0 - acceleration * shifted)))
    };
    let (Some(low), Some(high)) = (end(tail), end(-tail)) else { return Err(Undefined::Constant) };
    Ok(Bootstrap { value, interval: Interval { low, high, level }, standard_error, resamples })
}

/// Returns how the spread of the statistic changes with its value, from the statistics that leave one value out.
fn acceleration(values: &[f64], statistic: impl Fn(&[f64]) -> f64) -> f64 {
    let without: Vec<f64> = (0..values.len())
        .map(|left_out| statistic(&[&values[..left_out], &values[left_out + 1..]].concat()))
        .collect();
    let centre = centre(&without);
    let power = |exponent| sum(without.iter().map(|value| (centre - value).powi(exponent)));
    let squares = power(2);
    if squares == 0.0 { 0.0 } else { power(3) / (6.0 * squares.powf(1.5)) }
}
