//! The rule that stops an experiment when its intervals are narrow enough.

use super::super::{plan::Plan, recording::RunRow, schedule::schedule};
use crate::analysis::{Agent, Precision, Recording, Run, Settings, Until, analyse};

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

impl Plan {
    /// Returns why the rule can never stop an experiment with this plan, whatever its agents measure.
    ///
    /// # Errors
    /// A condition never gets an interval of the measure.
    pub fn can_stop(&self, until: Until) -> Result<(), String> {
        // The rule looks at an experiment in which every agent succeeds.
        let mut made_up = Precise::new(self, until, &Recording::default());
        let entries = schedule(self).into_iter().filter(|entry| !entry.warm_up);
        for entry in entries.filter(|entry| entry.repetition < Until::FIRST_LOOK) {
            let condition = self.conditions[entry.condition].name.clone();
            let duration = 1.0 + 0.1 * f64::from(entry.repetition);
            made_up.runs.runs.push(Run {
                id: entry.run,
                condition,
                kind: entry.kind,
                repetition: Some(entry.repetition),
                ..Run::default()
            });
            made_up.runs.agents.extend((0..).zip(&entry.team).map(|(agent, role)| Agent {
                run: entry.run,
                agent,
                role: role.clone(),
                duration,
                first_token: Some(0.1 * duration),
                tokens: Some(1),
                ..Agent::default()
            }));
        }
        let measure = until.measure().name();
        match made_up.look(Until::FIRST_LOOK) {
            Some(Precision { widest: None, condition: None, .. }) => {
                Err(format!("the plan has open-loop loads only, which have no {measure}"))
            }
            Some(Precision { widest: None, condition: Some(condition), .. }) => {
                Err(format!("{condition} has no {measure}, because its agents never run alone"))
            }
            _ => Ok(()),
        }
    }
}
