//! What a comparison counts.

use serde::Serialize;

/// The units whose variation decides a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sampled {
    /// Runs of an experiment.
    #[default]
    Runs,
    /// Blocks of time of live traffic.
    #[cfg_attr(not(feature = "experiment"), allow(dead_code, reason = "only reports compare recordings"))]
    Blocks,
}

impl Sampled {
    /// Returns so many of them.
    pub(crate) fn counted(self, number: usize) -> String {
        match (self, number) {
            (Sampled::Runs, 1) => "1 run".into(),
            (Sampled::Blocks, 1) => "1 block of time".into(),
            _ => format!("{number} {}", self.noun()),
        }
    }

    /// Returns their name.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Sampled::Runs => "runs",
            Sampled::Blocks => "blocks of time",
        }
    }
}
