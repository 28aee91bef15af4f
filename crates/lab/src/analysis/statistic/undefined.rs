//! The reasons why a statistic has no value.

use thiserror::Error;

/// The reason why a statistic has no value for this input.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub(crate) enum Undefined {
    /// There are fewer values than it needs.
    #[error("{have} values, and it takes {need}")]
    TooFew {
        /// The number of values.
        have: usize,
        /// The number that is needed.
        need: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {at} is not a finite number")]
    NotFinite {
        /// Its index in the input, from 0.
        at: usize,
    },
    /// The values do not vary.
    #[error("all values are the same")]
    Constant,
    /// The two sides of a pairing differ in length.
    #[error("{left} values are paired with {right}")]
    Unpaired {
        /// The number of values on the first side.
        left: usize,
        /// The number of values on the second side.
        right: usize,
    },
    /// The columns are (nearly) sums of each other.
    #[error("the columns depend on one another")]
    Dependent,
    /// A parameter is outside the range for which the statistic is defined.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// Accepts finite values, if there are at least `need` of them.
pub(super) fn demand(values: &[f64], need: usize) -> Result<(), Undefined> {
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(Undefined::NotFinite { at });
    }
    if values.len() < need {
        return Err(Undefined::TooFew { have: values.len(), need });
    }
    Ok(())
}

/// Accepts a probability strictly between 0 and 1.
pub(super) fn demand_level(level: f64) -> Result<(), Undefined> {
    if level > 0.0 && level < 1.0 { Ok(()) } else { Err(Undefined::OutOfRange("the level")) }
}
