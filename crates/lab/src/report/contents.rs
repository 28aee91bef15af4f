//! The contents of a report.

use super::source::Source;
use crate::analysis::{Analysis, Recording};

/// The analysis of recordings, ready to be formatted.
#[derive(Clone, Debug)]
pub struct Report {
    /// The recordings.
    pub sources: Vec<Source>,
    /// All rows.
    pub recording: Recording,
    /// The analysis.
    pub analysis: Analysis,
}
