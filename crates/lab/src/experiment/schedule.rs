//! The order of the runs.

use std::time::Duration;

use super::plan::{ConditionPlan, Plan};
use crate::analysis::{RunKind, statistic::Random};

/// One run of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number, from 0: its position in the schedule.
    pub run: u32,
    /// The index of its condition in the plan.
    pub condition: usize,
    /// Solo or together.
    pub kind: RunKind,
    /// The names of its agents.
    pub team: Vec<String>,
    /// The number of the repetition, from 0.
    pub(crate) repetition: u32,
    /// Whether it only warms up.
    pub warm_up: bool,
}

/// Returns every run in order. Warm-up runs come first. Then each repetition has every condition together and every
/// agent alone, in a new random order, so that changes over time affect all conditions alike. The same plan gives the
/// same schedule.
#[must_use]
pub fn schedule(plan: &Plan) -> Vec<Entry> {
    let mut random = Random::new(plan.seed);
    let mut entries = Vec::new();
    for repetition in 0..plan.warm_up {
        let mut block: Vec<Entry> =
            (0..plan.conditions.len()).map(|place| together(plan, place, repetition, true)).collect();
        random.shuffle(&mut block);
        entries.extend(block);
    }
    for repetition in 0..plan.repetitions {
        let mut block = Vec::new();
        for (place, condition) in plan.conditions.iter().enumerate() {
            block.push(together(plan, place, repetition, false));
            if condition.solo {
                block.extend(condition.distinct().into_iter().map(|name| Entry {
                    kind: RunKind::Solo,
                    team: vec![name.to_owned()],
                    ..together(plan, place, repetition, false)
                }));
            }
        }
        random.shuffle(&mut block);
        entries.extend(block);
    }
    for (run, entry) in (0..).zip(&mut entries) {
        entry.run = run;
    }
    entries
}

fn together(plan: &Plan, condition: usize, repetition: u32, warm_up: bool) -> Entry {
    let team = plan.conditions[condition].team.clone();
    Entry { run: 0, condition, kind: RunKind::Together, team, repetition, warm_up }
}

impl Entry {
    /// Returns the expected duration, if every stream runs at the plan's expected rate and nothing else takes time.
    /// It includes the pauses.
    #[must_use]
    pub fn expected(&self, plan: &Plan) -> Duration {
        let rate = pace(&plan.conditions[self.condition]).min(plan.expected_rate);
        let tokens = self.team.iter().filter_map(|name| plan.role(name)).map(|role| role.tokens).max();
        let seconds = f64::from(tokens.unwrap_or(0)) / rate;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).saturating_add(plan.pause.0)
    }
}

/// Returns the tokens per second that a condition lets through. The bucket of TR117 lets twice its rate through.
fn pace(condition: &ConditionPlan) -> f64 {
    let paces = [
        condition.pace,
        condition.leaky_pace.map(|rate| 2.0 * rate),
        condition.sidecar.as_ref().and_then(|sidecar| sidecar.pace).map(f64::from),
    ];
    paces.into_iter().flatten().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::plan::Bundled, *};

    fn plan(seed: u64) -> Plan {
        let mut plan: Plan = Bundled::named("tr117-phase1").unwrap().text.parse().unwrap();
        plan.seed = seed;
        plan
    }

    #[test]
    fn schedule_repeats_each_condition_and_solo_run_as_configured() {
        let plan = plan(1);
        let schedule = schedule(&plan);
        let mut counts: BTreeMap<(usize, bool, Vec<String>), u32> = BTreeMap::new();
        for entry in &schedule {
            *counts.entry((entry.condition, entry.warm_up, entry.team.clone())).or_default() += 1;
        }
        // 6 conditions of two agents have one warm-up run each, and five repetitions of one run together and two solo
        // runs.
        assert_eq!(counts.values().filter(|count| **count == 1).count(), 6);
        assert_eq!(counts.values().filter(|count| **count == 5).count(), 18);
        assert_eq!(schedule.len(), 6 + 90);
        assert!(schedule.iter().zip(0..).all(|(entry, place)| entry.run == place));
        assert!(schedule[..6].iter().all(|entry| entry.warm_up));
    }

    #[test]
    fn schedule_completes_each_repetition_in_its_own_order() {
        let schedule = schedule(&plan(1));
        let block = |repetition: u32| -> Vec<(usize, Vec<String>)> {
            let of = schedule.iter().filter(|entry| !entry.warm_up && entry.repetition == repetition);
            of.map(|entry| (entry.condition, entry.team.clone())).collect()
        };
        assert!(
            schedule[6..]
                .chunks(18)
                .zip(0..)
                .all(|(runs, repetition)| { runs.iter().all(|entry| entry.repetition == repetition) })
        );
        let (mut first, mut second) = (block(0), block(1));
        assert_ne!(first, second, "an order that is drawn once is no interleaving");
        first.sort();
        second.sort();
        assert_eq!(first, second);
    }

    #[test]
    fn schedule_depends_only_on_the_seed() {
        assert_eq!(schedule(&plan(7)), schedule(&plan(7)));
        assert_ne!(schedule(&plan(7)), schedule(&plan(8)));
    }

    #[test]
    fn schedule_expects_paced_run_to_last_as_long_as_its_pace() {
        let mut plan: Plan = Bundled::named("tr117-phase3").unwrap().text.parse().unwrap();
        plan.expected_rate = 1000.0;
        plan.pause.0 = Duration::ZERO;
        let longest = schedule(&plan).iter().map(|entry| entry.expected(&plan)).max().unwrap();
        assert_eq!(longest, Duration::from_secs_f64(160.0 / 60.0));
    }
}
