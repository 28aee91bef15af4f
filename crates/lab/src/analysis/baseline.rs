//! What the agents of a condition take alone.

use std::collections::{BTreeMap, HashMap};

use super::{
    Alone, Condition, RunKind, RunSummary, TrueSpeedup, run::Rows, statistic::Undefined, true_speedup,
};

/// Durations of solo runs, in seconds, by condition and role.
#[derive(Default)]
pub(super) struct Baselines<'a> {
    durations: HashMap<&'a str, BTreeMap<&'a str, Vec<f64>>>,
}

impl<'a> Baselines<'a> {
    /// Of the solo runs that came to their end.
    pub(super) fn of(runs: &'a [RunSummary], rows: &HashMap<u32, Rows<'a>>) -> Baselines<'a> {
        let mut baselines = Baselines::default();
        for run in runs.iter().filter(|run| run.kind == RunKind::Solo && run.failures.is_empty()) {
            let agents = rows.get(&run.id).into_iter().flat_map(|rows| &rows.agents);
            for agent in agents {
                let roles = baselines.durations.entry(&run.condition).or_default();
                roles.entry(&agent.role).or_default().push(agent.duration);
            }
        }
        baselines
    }

    /// Whose solo runs count for a condition: its own, or if it has none, those of what it is held against.
    pub(super) fn owner<'b>(&self, condition: &'b Condition) -> Option<&'b str> {
        [Some(condition.name.as_str()), condition.baseline.as_deref()]
            .into_iter()
            .flatten()
            .find(|name| self.durations.contains_key(name))
    }

    /// How many solo runs the role with the fewest has.
    pub(super) fn fewest(&self, owner: &str) -> usize {
        self.durations.get(owner).and_then(|roles| roles.values().map(Vec::len).min()).unwrap_or(0)
    }

    /// The true speedup of agents of these roles that took these wall times together.
    pub(super) fn speedup(
        &self,
        owner: &str,
        roles: &[&str],
        walls: &[f64],
        level: f64,
    ) -> Result<TrueSpeedup, Undefined> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for role in roles {
            *counts.entry(role).or_default() += 1;
        }
        let durations = |role: &str| {
            self.durations.get(owner).and_then(|roles| roles.get(role)).map_or(&[][..], Vec::as_slice)
        };
        let alone: Vec<Alone<'_>> = counts
            .iter()
            .map(|(role, agents)| Alone { durations: durations(role), agents: *agents })
            .collect();
        true_speedup(&alone, walls, level)
    }
}
