//! Compares the conditions of one recording with the same conditions of another.

use serde::Serialize;

use super::Comparison;
#[cfg(feature = "experiment")]
use super::{Contrast, Measure, Outcome};

/// The comparisons between recordings: each condition of a later recording against the same condition of the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Between {
    /// The comparisons, measure by measure. The comparisons of one later recording are corrected together, in two
    /// families as within a recording.
    pub(crate) comparisons: Vec<Comparison>,
    /// The number of conditions, loads and sweeps that are in both.
    #[serde(skip)]
    pub(crate) pairs: usize,
    /// The rates of live traffic in both, by the number of streams.
    #[cfg(feature = "experiment")]
    pub(crate) live: Vec<Contrast>,
    /// The reasons why pairs of live traffic were not compared.
    #[cfg(feature = "experiment")]
    #[serde(skip)]
    pub(crate) apart: Vec<String>,
    /// The conditions with too many failed runs, if their share is larger than in the first recording.
    pub(crate) failures: Vec<String>,
}

#[cfg(feature = "experiment")]
impl Between {
    /// Returns the comparisons of the measures that decide, in the order of [`Measure::DECIDING`].
    pub(crate) fn deciding(&self) -> impl Iterator<Item = &Comparison> {
        let of = |measure: &Measure| {
            let measure = *measure;
            self.comparisons.iter().filter(move |found| found.measure == measure)
        };
        Measure::DECIDING.iter().flat_map(of)
    }

    /// Returns a sentence for each regression: a deciding measure that is worse beyond chance, or failures.
    pub(crate) fn regressions(&self) -> Vec<String> {
        let worse = self.deciding().filter(|found| found.verdict == Outcome::Worse);
        self.failures.iter().cloned().chain(worse.map(Comparison::verdict_sentence)).collect()
    }

    /// Returns whether a deciding comparison had enough runs for a test.
    pub(crate) fn is_decided(&self) -> bool {
        !self.failures.is_empty()
            || self
                .deciding()
                .any(|found| found.evidence.p().is_some() || found.verdict != Outcome::Undecided)
    }
}
