//! The verdict on a comparison.

use serde::Serialize;

/// The verdict on a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The condition is better than the baseline, beyond chance.
    Better,
    /// The condition is worse than the baseline, beyond chance.
    Worse,
    /// The value is higher, beyond chance. For this measure, neither more nor less is better.
    Higher,
    /// The value is lower, beyond chance. For this measure, neither more nor less is better.
    Lower,
    /// The whole interval lies within the equivalence margin.
    Equivalent,
    /// These runs do not decide it.
    #[default]
    Undecided,
}
