//! The distribution of a value within a run.

use serde::Serialize;

use super::statistic::{centre, percentile_of_sorted};

/// A distribution, in the unit of its values. Percentiles have no interval here, because values within a run are not
/// independent. The interval comes from several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The number of values.
    pub(crate) n: usize,
    /// The mean.
    pub(crate) mean: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Returns the distribution of the finite values, and sorts them. `None`: there are none.
    pub(super) fn of(values: &mut Vec<f64>) -> Option<Spread> {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let at = |q| percentile_of_sorted(values, q);
        Some(Spread {
            n: values.len(),
            min: at(0.0)?,
            mean: centre(values),
            p50: at(0.5)?,
            p90: at(0.9)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            max: at(1.0)?,
        })
    }
}
