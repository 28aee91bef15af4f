//! How one thing was distributed within a run.

use serde::Serialize;

use super::statistic::{percentile_of_sorted, sum};

/// A distribution, in the unit of its values. Percentiles have no interval here: values within a run are not
/// independent, so the interval comes from several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// Half are below.
    pub p50: f64,
    /// 90 % are below.
    pub p90: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of the values that are finite; sorts them. `None` if there are none.
    pub(super) fn of(values: &mut Vec<f64>) -> Option<Spread> {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let at = |q| percentile_of_sorted(values, q);
        Some(Spread {
            n: values.len(),
            min: at(0.0)?,
            mean: sum(values.iter().copied()) / values.len() as f64,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            max: at(1.0)?,
        })
    }
}
