//! Observes an experiment while it runs.

use std::time::Duration;

use super::{recording::RunRow, schedule::Entry};

/// Receives the events of an experiment. Each method does nothing by default.
pub trait Watch: Send {
    /// The experiment begins, with this number of runs and this expected duration.
    fn begun(&mut self, runs: usize, expected: Duration) {
        let _ = (runs, expected);
    }

    /// A run begins.
    fn run(&mut self, condition: &str, entry: &Entry) {
        let _ = (condition, entry);
    }

    /// An agent received this many records.
    fn records(&mut self, agent: u32, records: u32) {
        let _ = (agent, records);
    }

    /// An agent has ended. If it failed, `failure` is the reason.
    fn ended(&mut self, agent: u32, failure: Option<&str>) {
        let _ = (agent, failure);
    }

    /// A run of a sweep is skipped, because lower rates missed the SLO already.
    fn skipped(&mut self, entry: &Entry) {
        let _ = entry;
    }

    /// A run is over. `left` is the expected duration of the rest.
    fn over(&mut self, row: &RunRow, left: Duration) {
        let _ = (row, left);
    }
}

/// Ignores all events.
impl Watch for () {}
