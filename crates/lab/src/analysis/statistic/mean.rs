//! A mean, and its interval.

use serde::Serialize;

use super::{
    Interval,
    distribution::t_quantile,
    sum::{centre, variance},
    undefined::{Undefined, demand, demand_level},
};

/// A mean with its spread, in the values' unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// The number of values.
    pub(crate) n: usize,
    /// The standard deviation with divisor n − 1. `None` for one value.
    pub(crate) deviation: Option<f64>,
    /// Student's interval: mean ± t(n − 1) · deviation / √n. `None` for one value.
    pub interval: Option<Interval>,
}

/// Returns the mean with Student's t interval (Student, "The probable error of a mean", Biometrika 6, 1908).
///
/// # Errors
/// There is no value, a value is not finite, or the level is not between 0 and 1.
pub(crate) fn mean(values: &[f64], level: f64) -> Result<Mean, Undefined> {
    demand(values, 1)?;
    demand_level(level)?;
    let value = centre(values);
    let n = values.len();
    if n == 1 {
        return Ok(Mean { value, n, deviation: None, interval: None });
    }
    let deviation = variance(values)?.sqrt();
    let margin = t_quantile(0.5 + 0.5 * level, (n - 1) as f64) * deviation / (n as f64).sqrt();
    Ok(Mean { value, n, deviation: Some(deviation), interval: Some(Interval::around(value, margin, level)) })
}
