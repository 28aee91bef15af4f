//! The result of a test, or the reason why there is none.

use serde::Serialize;

use super::{Sampled, statistic::smallest_p};

/// A p-value, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Evidence {
    /// There were enough runs.
    Tested {
        /// The probability of a difference at least as large if there were no true difference.
        p: f64,
        /// The same probability, corrected for the number of comparisons (Holm).
        corrected: f64,
    },
    /// There are too few runs for any result to have a meaning.
    TooFew {
        /// Runs of the smaller side.
        have: usize,
        /// The runs of each side that are needed.
        need: usize,
    },
    /// The values do not vary, so there is nothing to test.
    NoNoise,
}

impl Evidence {
    /// Whether a difference was found at level `alpha`, such as 0.05.
    #[must_use]
    pub(crate) fn found(self, alpha: f64) -> bool {
        matches!(self, Evidence::Tested { corrected, .. } if corrected < alpha)
    }

    /// Returns the p-value to report.
    #[must_use]
    pub(crate) fn p(self) -> Option<f64> {
        match self {
            Evidence::Tested { corrected, .. } => Some(corrected),
            _ => None,
        }
    }

    /// Returns it as text.
    #[must_use]
    pub(crate) fn sentence(self) -> String {
        self.sentence_of(Sampled::Runs)
    }

    /// Returns it as text, where these were counted.
    #[must_use]
    pub(super) fn sentence_of(self, sampled: Sampled) -> String {
        match self {
            Evidence::Tested { corrected, .. } => p_sentence(corrected),
            Evidence::TooFew { have, need } => format!("no p-value: {}", too_few(have, need, sampled)),
            Evidence::NoNoise => "no p-value: the values do not vary".into(),
        }
    }
}

/// Returns that there are too few runs or blocks of time, and how many are needed.
pub(crate) fn too_few(have: usize, need: usize, sampled: Sampled) -> String {
    let verb = if have == 1 { "is" } else { "are" };
    format!("{} {verb} too few, {need} of each are needed", sampled.counted(have))
}

/// Formats a p-value. It is never 0.0000, which would be false.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".into() } else { format!("{p:.4}") }
}

/// Formats a p-value with its name.
pub(super) fn p_sentence(p: f64) -> String {
    let value = p_value(p);
    if value.starts_with('<') { format!("p {value}") } else { format!("p = {value}") }
}

/// Returns whether both sides have enough runs for a test. With fewer runs, even samples that do not overlap are no
/// rarer by chance than `alpha`, and a smaller p of a t test depends on its assumptions alone.
pub(super) fn enough(first: usize, second: usize, alpha: f64) -> Result<(), usize> {
    if first.min(second) >= 2 && smallest_p(first, second) < alpha {
        return Ok(());
    }
    Err((2..).find(|n| smallest_p(*n, *n) < alpha).unwrap_or(usize::MAX))
}

/// Returns whether there are enough pairs: n pairs have n! orders.
pub(super) fn enough_pairs(n: usize, alpha: f64) -> Result<(), usize> {
    let rarest = |n: usize| 2.0 / (1..=n).map(|factor| factor as f64).product::<f64>();
    if rarest(n) < alpha { Ok(()) } else { Err((3..).find(|n| rarest(*n) < alpha).unwrap_or(usize::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_needs_four_runs_of_each_condition() {
        assert_eq!(enough(3, 3, 0.05), Err(4));
        assert_eq!(enough(4, 4, 0.05), Ok(()));
        assert_eq!(enough(1, 100, 0.05), Err(4));
        assert_eq!(enough_pairs(4, 0.05), Err(5));
        assert_eq!(enough_pairs(5, 0.05), Ok(()));
    }

    #[test]
    fn evidence_is_decided_by_corrected_p_only() {
        assert!(!Evidence::Tested { p: 0.01, corrected: 0.08 }.found(0.05));
        assert!(Evidence::Tested { p: 0.01, corrected: 0.04 }.found(0.05));
        assert!(!Evidence::TooFew { have: 2, need: 4 }.found(0.05));
        let one = Evidence::TooFew { have: 1, need: 4 }.sentence();
        assert_eq!(one, "no p-value: 1 run is too few, 4 of each are needed");
        let few = Evidence::TooFew { have: 2, need: 4 }.sentence();
        assert_eq!(few, "no p-value: 2 runs are too few, 4 of each are needed");
    }
}
