//! The statistics: they take slices of numbers and return estimates with intervals.
//!
//! This module does not know the meaning of the numbers: units of a result are those of its input. Sums are
//! compensated. A statistic without a value returns the reason (`Undefined`) and never NaN. Each statistic equals
//! that of scipy, numpy or statsmodels with a relative error of 1e-9, which `reference.rs` verifies.

mod bootstrap;
mod correlation;
mod distribution;
mod effect;
mod factors;
mod holm;
mod mean;
mod percentile;
mod permutation;
pub(crate) mod power;
mod proportion;
mod random;
mod rank;
#[cfg(test)]
mod reference;
mod regression;
mod residual;
mod scaled;
mod scaling;
mod stopping;
mod sum;
mod undefined;
mod welch;

use serde::Serialize;

pub(crate) use bootstrap::{Bootstrap, bca};
pub(crate) use correlation::{Correlation, correlation_matrix, from_centre, pearson_within, spearman_within};
pub(crate) use distribution::{t_quantile, t_two_sided};
pub(crate) use effect::{Effect, hedges_g};
pub(crate) use holm::holm;
pub use mean::Mean;
pub(crate) use mean::mean;
#[cfg(any(test, feature = "experiment"))]
pub(crate) use percentile::percentile;
pub(crate) use percentile::percentile_of_sorted;
pub(crate) use permutation::{
    Baseline, Permutation, permutation_test, permutation_test_with_baselines, sign_flip_test, smallest_p,
};
pub(crate) use power::detectable_shift;
pub(crate) use proportion::{Proportion, more_to_exceed, proportion};
pub use random::Random;
pub(crate) use regression::{Regression, least_squares, variance_inflation};
pub(crate) use scaled::{UnitError, scaled_interval};
#[cfg(feature = "experiment")]
pub(crate) use scaling::Peak;
pub(crate) use scaling::{Scaling, fit_scaling};
pub(crate) use stopping::stopping_level;
pub(crate) use sum::{centre, sum, variance};
pub(crate) use undefined::Undefined;
pub(crate) use welch::{satterthwaite, welch};

/// An interval that contains the true value with probability `level`, as far as the method's assumptions hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability, in `0.0..1.0`; 0.95 for a 95 % interval.
    pub(crate) level: f64,
}

impl Interval {
    /// Returns `value` ± `margin`.
    #[must_use]
    pub(crate) fn around(value: f64, margin: f64, level: f64) -> Interval {
        Interval { low: value - margin, high: value + margin, level }
    }

    /// Whether it contains `value`. The ends belong to it.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Applies an increasing function to both ends.
    #[must_use]
    pub(crate) fn map(&self, rising: impl Fn(f64) -> f64) -> Interval {
        Interval { low: rising(self.low), high: rising(self.high), level: self.level }
    }
}
