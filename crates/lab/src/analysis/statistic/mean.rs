//! A mean, and how sure it is.

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
    /// How many values.
    pub n: usize,
    /// The standard deviation with divisor n − 1. Absent with one value.
    pub deviation: Option<f64>,
    /// Student's interval: mean ± t(n − 1) · deviation / √n. Absent with one value.
    pub interval: Option<Interval>,
}

/// The mean with Student's t interval (Student, "The probable error of a mean", Biometrika 6, 1908).
///
/// # Errors
/// No value, one that is not finite, or a level outside of 0 to 1.
pub fn mean(values: &[f64], level: f64) -> Result<Mean, Undefined> {
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
