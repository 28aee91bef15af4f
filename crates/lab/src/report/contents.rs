//! The contents of a report.

use super::source::Source;
use crate::{
    analysis::{Analysis, Recording},
    experiment::recording::Environment,
};

/// The analysis of recordings, ready to be formatted.
#[derive(Clone, Debug)]
pub struct Report {
    /// The recordings.
    pub sources: Vec<Source>,
    /// All rows.
    pub(crate) recording: Recording,
    /// The analysis.
    pub analysis: Analysis,
}

impl Report {
    /// Returns what differs between the environments of the recordings.
    pub(super) fn changes(&self) -> Vec<String> {
        super::change::changes(&self.sources)
    }

    /// Returns what a reader has to know before anything else, if there is something.
    pub(super) fn warning(&self) -> Option<String> {
        let is_simulated = |source: &&Source| source.environment.as_ref().is_some_and(Environment::simulated);
        let simulated: Vec<&str> =
            self.sources.iter().filter(is_simulated).map(|source| source.name.as_str()).collect();
        // If only some of the recordings are simulated, a comparison of them is one of a simulator with an Ollama.
        let place = match simulated.len() {
            0 => String::new(),
            all if all == self.sources.len() => String::new(),
            _ => format!(" in {} only", simulated.join(" and ")),
        };
        self.analysis.simulated.then(|| {
            format!(
                "SIMULATED: a simulated Ollama answered{place}. The figures describe the simulator and the agents, and the \
                 claims about real ones are withheld."
            )
        })
    }
}
