//! Decides when a sweep ends: after a rate that is too high, the higher rates are skipped.

use std::collections::HashMap;

use super::super::{
    plan::{ConditionPlan, Plan},
    recording::RunRow,
    schedule::{Entry, schedule},
};
use crate::analysis::{Recording, Request, requests};

/// How many rates in a row missed the SLO, by sweep and repetition.
#[derive(Debug, Default)]
pub(super) struct Stopped(HashMap<(String, u32), u32>);

impl Stopped {
    /// Whether the run is of a sweep whose lower rates missed the SLO too often.
    pub(super) fn skips(&self, plan: &Plan, entry: &Entry) -> bool {
        let condition = &plan.conditions[entry.condition];
        let (Some(load), Some(key)) = (&condition.load, key(condition, entry)) else { return false };
        load.stop_after > 0 && self.0.get(&key).is_some_and(|missed| *missed >= load.stop_after)
    }

    /// Judges a run that has ended.
    pub(super) fn observe(&mut self, plan: &Plan, entry: &Entry, row: &RunRow) {
        let requests: Vec<Request> =
            row.agents.iter().map(|row| Request::of(&row.agent, Some(&row.gaps))).collect();
        self.judge(plan, entry, &requests);
    }

    /// Judges the runs of a recording that continues.
    pub(super) fn resumed(plan: &Plan, before: &Recording) -> Stopped {
        let mut stopped = Stopped::default();
        let requests = requests(before);
        for entry in schedule(plan) {
            if let Some(requests) = requests.get(&entry.run) {
                stopped.judge(plan, &entry, requests);
            }
        }
        stopped
    }

    fn judge(&mut self, plan: &Plan, entry: &Entry, requests: &[Request]) {
        let condition = &plan.conditions[entry.condition];
        let (Some(load), Some(key)) = (&condition.load, key(condition, entry)) else { return };
        let load = load.load(&condition.name, None);
        let missed = self.0.entry(key).or_default();
        *missed = if load.met(requests) < load.slo.share { *missed + 1 } else { 0 };
    }
}

fn key(condition: &ConditionPlan, entry: &Entry) -> Option<(String, u32)> {
    (!entry.warm_up).then_some(())?;
    Some((condition.series.clone()?, entry.repetition))
}
