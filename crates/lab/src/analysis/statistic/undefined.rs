//! Why a statistic has no value.

use thiserror::Error;

/// Why a statistic has no value for this input.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum Undefined {
    /// Fewer values than it takes.
    #[error("{have} values, and it takes {need}")]
    TooFew {
        /// How many there are.
        have: usize,
        /// How many there have to be.
        need: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {at} is no finite number")]
    NotFinite {
        /// Its place in the input, from 0.
        at: usize,
    },
    /// The values do not vary.
    #[error("all values are the same")]
    Constant,
    /// What is paired is not of one length.
    #[error("{left} values are paired with {right}")]
    Unpaired {
        /// Values on the one side.
        left: usize,
        /// Values on the other.
        right: usize,
    },
    /// Columns that are (nearly) sums of one another.
    #[error("the columns depend on one another")]
    Dependent,
    /// A parameter lies outside of what the statistic is defined for.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// Passes finite values, at least `need` of them.
pub(super) fn demand(values: &[f64], need: usize) -> Result<(), Undefined> {
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(Undefined::NotFinite { at });
    }
    if values.len() < need {
        return Err(Undefined::TooFew { have: values.len(), need });
    }
    Ok(())
}

/// Passes a probability strictly between 0 and 1.
pub(super) fn demand_level(level: f64) -> Result<(), Undefined> {
    if level > 0.0 && level < 1.0 { Ok(()) } else { Err(Undefined::OutOfRange("the level")) }
}
