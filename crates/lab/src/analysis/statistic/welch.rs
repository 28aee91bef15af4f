//! Welch's test of the difference of two means.

use serde::Serialize;

use super::{
    Interval,
    distribution::{t_quantile, t_two_sided},
    sum::{centre, variance},
    undefined::{Undefined, demand_level},
};

/// The difference of two means, by Welch's unequal variances t test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Welch {
    /// Mean of the first − mean of the second, in the values' unit.
    pub(crate) difference: f64,
    /// The interval of the difference.
    pub(crate) interval: Interval,
    /// Difference / standard error.
    pub(crate) t: f64,
    /// Degrees of freedom by Welch and Satterthwaite, not necessarily an integer.
    pub(crate) df: f64,
    /// The probability of a `t` at least as far from 0, in either direction, if the means were equal.
    pub(crate) p: f64,
    /// The standard error of the difference, in the values' unit.
    pub(crate) standard_error: f64,
}

/// Tests the difference of two means: Welch, "The generalization of Student's problem when several different
/// population variances are involved", Biometrika 34 (1947).
///
/// # Errors
/// There are fewer than two values on a side, a value is not finite, or neither side varies, so there is no noise to
/// compare the difference with.
pub(crate) fn welch(first: &[f64], second: &[f64], level: f64) -> Result<Welch, Undefined> {
    demand_level(level)?;
    let of_mean = |values: &[f64]| {
        let n = values.len() as f64;
        variance(values).map(|variance| (variance / n, n - 1.0))
    };
    let parts = [of_mean(first)?, of_mean(second)?];
    let squared_error = parts[0].0 + parts[1].0;
    if squared_error == 0.0 {
        return Err(Undefined::Constant);
    }
    let df = satterthwaite(&parts);
    let difference = centre(first) - centre(second);
    let error = squared_error.sqrt();
    let t = difference / error;
    let interval = Interval::around(difference, t_quantile(0.5 + 0.5 * level, df) * error, level);
    Ok(Welch { difference, interval, t, df, p: t_two_sided(t, df), standard_error: error })
}

/// Returns the degrees of freedom of a sum of squared standard errors. Each of `parts` is a squared standard error with
/// its own degrees of freedom. The result is infinite if all errors are 0.
pub(crate) fn satterthwaite(parts: &[(f64, f64)]) -> f64 {
    let total: f64 = parts.iter().map(|(part, _)| part).sum();
    // The ratios are calculated first, because the square of a tiny variance underflows.
    let weighted: f64 =
        parts.iter().filter(|(part, _)| *part > 0.0).map(|(part, df)| (part / total).powi(2) / df).sum();
    weighted.recip()
}
