//! The order of the runs.

use std::{collections::BTreeMap, time::Duration};

use super::plan::{ConditionPlan, LoadPlan, Plan};
use crate::analysis::{RunKind, statistic::Random};

/// One run of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number, from 0: its position in the schedule.
    pub run: u32,
    /// The index of its condition in the plan.
    pub condition: usize,
    /// Solo, together or open.
    pub kind: RunKind,
    /// The names of its agents.
    pub team: Vec<String>,
    /// The number of the repetition, from 0.
    pub(crate) repetition: u32,
    /// Whether it only warms up.
    pub warm_up: bool,
}

/// Returns every run in order. Warm-up runs come first. Then each repetition has every condition together and every
/// agent alone, in a new random order, so that changes over time affect all conditions alike. The rates of a sweep stay
/// together in ascending order, because a rate that is too high ends the sweep. The same plan gives the same schedule.
#[must_use]
pub fn schedule(plan: &Plan) -> Vec<Entry> {
    let mut random = Random::new(plan.seed);
    let mut entries = Vec::new();
    for repetition in 0..plan.warm_up {
        // Of a sweep, only the lowest rate warms up.
        let mut block: Vec<Entry> =
            groups(plan).iter().map(|places| together(plan, places[0], repetition, true)).collect();
        random.shuffle(&mut block);
        entries.extend(block);
    }
    for repetition in 0..plan.repetitions {
        let mut block: Vec<Vec<Entry>> = Vec::new();
        for places in groups(plan) {
            block.push(places.iter().map(|place| together(plan, *place, repetition, false)).collect());
            let condition = &plan.conditions[places[0]];
            if condition.solo {
                block.extend(condition.distinct().into_iter().map(|name| {
                    let kind = RunKind::Solo;
                    let team = vec![name.to_owned()];
                    vec![Entry { kind, team, ..together(plan, places[0], repetition, false) }]
                }));
            }
        }
        random.shuffle(&mut block);
        entries.extend(block.into_iter().flatten());
    }
    for (run, entry) in (0..).zip(&mut entries) {
        entry.run = run;
    }
    entries
}

fn together(plan: &Plan, place: usize, repetition: u32, warm_up: bool) -> Entry {
    let condition = &plan.conditions[place];
    let kind = if condition.load.is_some() { RunKind::Open } else { RunKind::Together };
    Entry { run: 0, condition: place, kind, team: condition.team.clone(), repetition, warm_up }
}

/// Returns the places of the conditions: those of a sweep together, and every other one alone.
fn groups(plan: &Plan) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut sweeps: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, condition) in plan.conditions.iter().enumerate() {
        let sweep = condition.load.as_ref().and(condition.series.as_deref());
        match sweep.and_then(|sweep| sweeps.get(sweep)) {
            Some(group) => groups[*group].push(place),
            None => {
                sweeps.extend(sweep.map(|sweep| (sweep, groups.len())));
                groups.push(vec![place]);
            }
        }
    }
    for group in &mut groups {
        let rate = |place: &usize| plan.conditions[*place].load.as_ref().map_or(0.0, LoadPlan::rate);
        group.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    }
    groups
}

impl Entry {
    /// Returns the expected duration, if every stream runs at the plan's expected rate and nothing else takes time.
    /// It includes the pauses.
    #[must_use]
    pub fn expected(&self, plan: &Plan) -> Duration {
        let rate = pace(&plan.conditions[self.condition]).min(plan.expected_rate);
        let tokens = self.team.iter().filter_map(|name| plan.role(name)).map(|role| role.tokens).max();
        let arriving = plan.conditions[self.condition].load.as_ref().map_or(0.0, LoadPlan::seconds);
        let seconds = arriving + f64::from(tokens.unwrap_or(0)) / rate;
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
    fn schedule_keeps_rates_of_a_sweep_together_in_ascending_order() {
        let plan: Plan = r#"
            name = "sweep"
            repetitions = 4
            [upstreams]
            one = "http://127.0.0.1:1"
            [[agent]]
            name = "writer"
            model = "m"
            prompt = "why"
            tokens = 8
            [[condition]]
            name = "pair"
            count = 2
            [[condition]]
            name = "load"
            load = { rates = [4, 1, 2], for = "10s" }
            "#
        .parse()
        .unwrap();
        let schedule = schedule(&plan);
        let warming = schedule.iter().filter(|entry| entry.warm_up && entry.kind == RunKind::Open);
        assert_eq!(warming.map(|entry| entry.condition).collect::<Vec<_>>(), [1]);
        for block in schedule[2..].chunks(5) {
            let places: Vec<usize> = block.iter().map(|entry| entry.condition).collect();
            let first = places.iter().position(|place| *place == 1).unwrap();
            assert_eq!(places[first..first + 3], [1, 2, 3], "{places:?}");
            assert_eq!(plan.conditions[1].load.as_ref().unwrap().rate(), 1.0);
        }
        assert_eq!(schedule[2..].iter().filter(|entry| entry.kind == RunKind::Solo).count(), 4);
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
