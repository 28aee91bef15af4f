//! The settings of an analysis.

use serde::Serialize;

/// Settings of the analysis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// The level of intervals. Tests use 1 less this level. Default: 0.95.
    pub level: f64,
    /// The probability with which a detectable difference is found. Default: 0.8.
    pub power: f64,
    /// The number of bootstrap resamples, and the maximum number of labellings of a permutation test. Default: 9,999.
    pub resamples: usize,
    /// The random seed. Default: 117.
    pub seed: u64,
    /// The length of a window of the time series, in seconds. Default: 1.
    pub window: f64,
    /// The equivalence margin, as a share of the baseline's mean: smaller differences do not matter. Default: 0.05.
    pub margin: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { level: 0.95, power: 0.8, resamples: 9_999, seed: 117, window: 1.0, margin: 0.05 }
    }
}
