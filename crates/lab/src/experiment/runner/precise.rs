//! The rule that stops an experiment when its intervals are narrow enough.

use super::super::{plan::Plan, recording::RunRow};
use crate::analysis::{Precision, Recording, Settings, Until, analyse};

/// The runs so far, without their chunks.
#[derive(Debug)]
pub(super) struct Precise {
    until: Until,
    runs: Recording,
}

impl Precise {
    /// `before` are the runs of a recording that continues.
    pub(super) fn new(plan: &Plan, until: Until, before: &Recording) -> Precise {
        let closed = plan.conditions.iter().filter(|condition| condition.load.is_none());
        let mut conditions: Vec<_> = closed.map(|condition| condition.condition()).collect();
        for condition in &mut conditions {
            condition.until = Some(until.measure().name().to_owned());
        }
        let (runs, agents) = (before.runs.clone(), before.agents.clone());
        Precise { until, runs: Recording { conditions, runs, agents, ..Recording::default() } }
    }

    pub(super) fn add(&mut self, row: &RunRow) {
        self.runs.runs.push(row.run.clone());
        self.runs.agents.extend(row.agents.iter().map(|row| row.agent.clone()));
    }

    /// Looks at the intervals. `None`: it is too early.
    pub(super) fn look(&self, repetitions: u32) -> Option<Precision> {
        // The intervals need no resampling.
        let settings = Settings { resamples: 1, ..Settings::default() };
        self.until.look(&analyse(&self.runs, &settings), repetitions)
    }
}
