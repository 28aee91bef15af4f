//! The contents of a report.

use super::source::Source;
use crate::analysis::{Analysis, Recording};

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
    pub(super) fn warning(&self) -> Option<&'static str> {
        self.analysis.simulated.then_some(
            "SIMULATED: a simulated Ollama answered. The figures describe the simulator and the agents, and the claims \
             about real ones are withheld.",
        )
    }
}
