//! The advice, its steps, and the effect of each remedy.

use serde::Serialize;

use super::super::{Comparison, Outcome, Remedy};

/// The answers of the tree, the effect of every remedy that was tried, and the recommendation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Advice {
    /// The questions of the tree with their answers.
    pub(crate) steps: Vec<Step>,
    /// The effect of each remedy, the most helpful one first.
    pub(crate) remedies: Vec<RemedyEffect>,
    /// The recommendation.
    pub(crate) recommendation: String,
    /// The sentences of the recommendation, the most important one first.
    #[serde(skip)]
    pub(crate) told: Vec<String>,
    /// The questions that this recording cannot decide, and the data that would decide them.
    pub(crate) undecided: Vec<String>,
}

/// One question of the tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    /// The question.
    pub(crate) question: String,
    /// Its answer.
    pub(crate) answer: Answer,
    /// The figures behind it.
    pub(crate) because: String,
}

#[cfg(feature = "experiment")]
impl Step {
    /// Returns it as a sentence.
    pub(crate) fn sentence(&self) -> String {
        let answer = match self.answer {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::Unknown => "unknown",
        };
        format!("{} {answer}: {}", self.question, self.because)
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// The statement holds.
    Yes,
    /// The statement does not hold.
    No,
    /// The recording cannot decide it.
    Unknown,
}

/// The effect of a remedy, as far as it was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct RemedyEffect {
    /// The condition with the remedy.
    pub(crate) condition: String,
    /// The remedies.
    pub(crate) remedies: Vec<Remedy>,
    /// Whether it helped: more true efficiency, beyond chance.
    pub(crate) helped: Answer,
    /// The reason why it is not recommended, whatever it gained: too many of its runs failed.
    pub(crate) veto: Option<String>,
    /// The gain in true efficiency.
    pub(crate) gain: Comparison,
    /// The other effects: the differences in throughput, time to first token, lag and CPU that are beyond chance.
    pub(crate) costs: Vec<Comparison>,
}

impl RemedyEffect {
    /// Returns the measure that it makes worse beyond chance, the true efficiency before others.
    pub(super) fn harm(&self) -> Option<&Comparison> {
        std::iter::once(&self.gain).chain(&self.costs).find(|found| found.verdict == Outcome::Worse)
    }
}

#[cfg(feature = "experiment")]
impl RemedyEffect {
    /// Returns it as a sentence.
    #[must_use]
    pub(crate) fn sentence(&self) -> String {
        let helped = match self.helped {
            Answer::Yes => "helped",
            _ if self.gain.verdict == Outcome::Worse => "does harm",
            Answer::No => "did not help",
            Answer::Unknown => "was not shown to help",
        };
        let costs: Vec<String> = self.costs.iter().map(Comparison::sentence).collect();
        let costs = if costs.is_empty() { String::new() } else { format!("; besides, {}", costs.join("; ")) };
        let veto = self.veto.as_ref().map_or(String::new(), |veto| format!("{veto}; "));
        format!("{} {helped}: {veto}{}{costs}", self.condition, self.gain.sentence())
    }
}
