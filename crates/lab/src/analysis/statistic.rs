//! The statistics: they take slices of numbers and return estimates with intervals.
//!
//! This module does not know the meaning of the numbers: units of a result are those of its input. Sums are
//! compensated. A statistic without a value returns the reason ([`Undefined`]) and never NaN. Each statistic equals
//! that of scipy, numpy or statsmodels with a relative error of 1e-9, which `tests/analysis/` verifies.

mod bootstrap;
mod correlation;
mod distribution;
mod effect;
mod factors;
mod holm;
mod mean;
mod percentile;
mod permutation;
mod power;
mod random;
mod rank;
mod regression;
mod residual;
mod scaling;
mod sum;
mod undefined;
mod welch;

use serde::Serialize;

pub use bootstrap::{Bootstrap, bca};
pub(crate) use correlation::from_centre;
pub use correlation::{Correlation, correlation_matrix, pearson, pearson_within, spearman, spearman_within};
pub use distribution::{
    chi_squared_upper, f_upper, noncentral_t_cdf, normal_cdf, normal_quantile, t_cdf, t_quantile, t_two_sided,
};
pub use effect::{Effect, hedges_g};
pub use holm::holm;
pub use mean::{Mean, mean};
pub use percentile::{percentile, percentile_interval, percentile_of_sorted};
pub use permutation::{Permutation, permutation_test, sign_flip_test, smallest_p};
pub(crate) use power::detectable_shift;
pub use power::{detectable, power, runs_needed};
pub use random::Random;
pub use rank::ranks;
pub use regression::{Coefficient, Regression, least_squares, variance_inflation};
pub use residual::Residuals;
pub use scaling::{Scaling, fit_scaling};
pub(crate) use sum::centre;
pub use sum::{sum, variance};
pub use undefined::Undefined;
pub(crate) use welch::satterthwaite;
pub use welch::{Welch, welch};

/// An interval that contains the true value with probability `level`, as far as the method's assumptions hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The probability, in `0.0..1.0`; 0.95 for a 95 % interval.
    pub level: f64,
}

impl Interval {
    /// Returns `value` ± `margin`.
    #[must_use]
    pub fn around(value: f64, margin: f64, level: f64) -> Interval {
        Interval { low: value - margin, high: value + margin, level }
    }

    /// Whether it contains `value`. The ends belong to it.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Applies an increasing function to both ends.
    #[must_use]
    pub fn map(&self, rising: impl Fn(f64) -> f64) -> Interval {
        Interval { low: rising(self.low), high: rising(self.high), level: self.level }
    }
}
