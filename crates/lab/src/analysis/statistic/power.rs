//! The differences that a number of runs can detect.

use super::{
    distribution::{noncentral_t_cdf, t_quantile},
    effect::root,
    undefined::{Undefined, demand_level},
};

/// Returns the probability that a two-sided t test finds a difference of `effect` standard deviations, with these
/// sample sizes, at level `alpha`: Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988), exact by
/// noncentral t.
///
/// # Errors
/// A sample has fewer than two values, or `alpha` is not between 0 and 1.
#[cfg(test)]
pub(crate) fn power(effect: f64, first: usize, second: usize, alpha: f64) -> Result<f64, Undefined> {
    demand_level(alpha)?;
    let have = first.min(second);
    if have < 2 {
        return Err(Undefined::TooFew { have, need: 2 });
    }
    let (n1, n2) = (first as f64, second as f64);
    let shift = effect.abs() * (n1 * n2 / (n1 + n2)).sqrt();
    Ok(found_with(shift, n1 + n2 - 2.0, alpha))
}

/// Returns the probability that a t with this noncentrality is found.
fn found_with(shift: f64, df: f64, alpha: f64) -> f64 {
    let bound = t_quantile(1.0 - 0.5 * alpha, df);
    // The probability is practically 1, and its exact value would cost too much time.
    if shift > 60.0 + 10.0 * bound {
        return 1.0;
    }
    1.0 - noncentral_t_cdf(bound, df, shift) + noncentral_t_cdf(-bound, df, shift)
}

/// Returns the smallest difference, in its standard errors, that is found with probability `wanted`. `df` is the
/// degrees of freedom, not necessarily an integer.
pub(crate) fn detectable_shift(df: f64, alpha: f64, wanted: f64) -> Result<f64, Undefined> {
    demand_level(alpha)?;
    if !(wanted > alpha && wanted < 1.0) {
        return Err(Undefined::OutOfRange("the power"));
    }
    let lacking = |shift| wanted - found_with(shift, df, alpha);
    let mut high = 2.0;
    while lacking(high) > 0.0 {
        high *= 2.0;
    }
    Ok(root(0.0, high, lacking))
}
