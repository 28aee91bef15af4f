//! The durations of a condition's agents when they run alone.

use std::collections::{BTreeMap, HashMap};

use super::{
    Alone, Condition, RunKind, RunSummary, TrueSpeedup,
    run::Rows,
    statistic::{Undefined, centre, sum},
    true_speedup,
};

/// The durations of solo runs in seconds, by condition and role.
#[derive(Default)]
pub(super) struct Baselines<'a> {
    durations: HashMap<&'a str, BTreeMap<&'a str, Vec<f64>>>,
    /// The durations of solo runs in seconds, by condition, role and repetition.
    repetitions: HashMap<(&'a str, &'a str, u32), Vec<f64>>,
}

impl<'a> Baselines<'a> {
    /// Collects the solo runs that ended without a failure.
    pub(super) fn of(runs: &'a [RunSummary], rows: &HashMap<u32, Rows<'a>>) -> Baselines<'a> {
        let mut baselines = Baselines::default();
        for run in runs.iter().filter(|run| run.kind == RunKind::Solo && run.failures.is_empty()) {
            let agents = rows.get(&run.id).into_iter().flat_map(|rows| &rows.agents);
            for agent in agents {
                let roles = baselines.durations.entry(&run.condition).or_default();
                roles.entry(&agent.role).or_default().push(agent.duration);
                if let Some(repetition) = run.repetition {
                    let place = (run.condition.as_str(), agent.role.as_str(), repetition);
                    baselines.repetitions.entry(place).or_default().push(agent.duration);
                }
            }
        }
        baselines
    }

    /// Returns the condition whose solo runs count for a condition: itself, or, if it has none, its baseline.
    pub(super) fn owner<'b>(&self, condition: &'b Condition) -> Option<&'b str> {
        [Some(condition.name.as_str()), condition.baseline.as_deref()]
            .into_iter()
            .flatten()
            .find(|name| self.durations.contains_key(name))
    }

    /// Returns the number of solo runs of the role that has the fewest.
    pub(super) fn fewest(&self, owner: &str) -> usize {
        self.durations.get(owner).and_then(|roles| roles.values().map(Vec::len).min()).unwrap_or(0)
    }

    /// Returns the summed durations of agents with these roles alone, in the solo runs of one repetition. `None`: a role
    /// has no solo run in it.
    pub(super) fn sum_in(&self, owner: &str, roles: &[&str], repetition: u32) -> Option<f64> {
        let of_role = |role: &&str| {
            let durations = self.repetitions.get(&(owner, *role, repetition))?;
            Some(centre(durations))
        };
        roles.iter().map(of_role).collect::<Option<Vec<f64>>>().map(sum)
    }

    /// Returns the true speedup of agents with these roles and these wall times together.
    pub(super) fn speedup(
        &self,
        owner: &str,
        roles: &[&str],
        walls: &[f64],
        level: f64,
    ) -> Result<TrueSpeedup, Undefined> {
        let alone = self.alone(owner, roles);
        let alone: Vec<Alone<'_>> =
            alone.iter().map(|(agents, durations)| Alone { durations, agents: *agents }).collect();
        true_speedup(&alone, walls, level)
    }

    /// Returns the number of agents of each of these roles, and the durations of its solo runs.
    pub(super) fn alone(&self, owner: &str, roles: &[&str]) -> Vec<(usize, Vec<f64>)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for role in roles {
            *counts.entry(role).or_default() += 1;
        }
        let durations = |role: &str| self.durations.get(owner).and_then(|roles| roles.get(role).cloned());
        counts.iter().map(|(role, agents)| (*agents, durations(role).unwrap_or_default())).collect()
    }
}
