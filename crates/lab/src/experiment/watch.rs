//! Whoever looks on.

use std::time::Duration;

use super::{recording::RunRow, schedule::Entry};

/// Is told how an experiment goes. What it does not care about it leaves out.
pub trait Watch: Send {
    /// It begins: so many runs are to be done, which are expected to take so long.
    fn begun(&mut self, runs: usize, expected: Duration) {
        let _ = (runs, expected);
    }

    /// A run begins.
    fn run(&mut self, condition: &str, entry: &Entry) {
        let _ = (condition, entry);
    }

    /// An agent received so many records.
    fn records(&mut self, agent: u32, records: u32) {
        let _ = (agent, records);
    }

    /// An agent has come to its end; if it failed, why.
    fn ended(&mut self, agent: u32, failure: Option<&str>) {
        let _ = (agent, failure);
    }

    /// The run is over; the rest is expected to take so long.
    fn over(&mut self, row: &RunRow, left: Duration) {
        let _ = (row, left);
    }
}

/// Nobody looks on.
impl Watch for () {}
