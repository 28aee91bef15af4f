//! Several recordings in one.

use std::collections::HashSet;

use super::Source;
use crate::{analysis::Recording, experiment::recording::Recorded};

/// Recordings in one, and what may be compared across them.
pub(super) struct Merged {
    pub(super) sources: Vec<Source>,
    pub(super) recording: Recording,
    /// The conditions, loads and sweeps of later recordings, each with the same one of the first.
    pub(super) pairs: Vec<(String, String)>,
}

/// Renumbers runs. If there are several recordings, it adds the name of each as a prefix to its conditions.
pub(super) fn merge(recorded: Vec<Recorded>) -> Merged {
    let several = recorded.len() > 1;
    let (mut sources, mut whole) = (Vec::new(), Recording::default());
    let mut names = HashSet::new();
    // The conditions of each recording: the name within it, and the name here.
    let mut conditions: Vec<Names> = Vec::new();
    let mut loads: Vec<Names> = Vec::new();
    for (one, number) in recorded.into_iter().zip(0..) {
        let (given, mut name) = (one.name.clone(), one.name);
        let mut again = 1;
        while !names.insert(name.clone()) {
            again += 1;
            name = format!("{} ({again})", name.split(" (").next().unwrap_or_default());
        }
        let mut recording = one.recording;
        let short: Vec<String> =
            recording.conditions.iter().map(|condition| condition.name.clone()).collect();
        let short_loads = names_of_loads(&recording);
        if several {
            prefix(&mut recording, &given, &name);
        }
        let long = recording.conditions.iter().map(|condition| condition.name.clone());
        conditions.push(short.into_iter().zip(long).collect());
        loads.push(short_loads.into_iter().zip(names_of_loads(&recording)).collect());
        recording.conditions.iter_mut().for_each(|condition| condition.recording = number);
        recording.loads.iter_mut().for_each(|load| load.recording = number);
        if several {
            recording.notes.iter_mut().for_each(|note| *note = format!("{name}: {note}"));
        }
        whole.append(recording);
        sources.push(Source {
            name,
            plan: one.plan.map(|plan| plan.name),
            environment: one.environment,
            problems: one.problems,
        });
    }
    let pairs = pairs(&conditions).into_iter().chain(pairs(&loads)).collect();
    Merged { sources, recording: whole, pairs }
}

/// Adds the name of a recording as a prefix to its conditions and loads. `given` is the name of its folder.
fn prefix(recording: &mut Recording, given: &str, name: &str) {
    // The one condition of a recording without a plan has the recording's name already.
    let full = |condition: &str| {
        if condition == given { name.to_owned() } else { format!("{name}/{condition}") }
    };
    for condition in &mut recording.conditions {
        condition.name = full(&condition.name);
        condition.baseline = condition.baseline.as_deref().map(full);
        condition.series = condition.series.as_deref().map(full);
    }
    for load in &mut recording.loads {
        load.condition = full(&load.condition);
        load.series = load.series.as_deref().map(full);
    }
    recording.runs.iter_mut().for_each(|run| run.condition = full(&run.condition));
}

/// Names within a recording, each with the name in the report.
type Names = Vec<(String, String)>;

/// Returns the names of the sweeps and of the loads.
fn names_of_loads(recording: &Recording) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in recording.loads.iter().flat_map(|load| load.series.iter().chain([&load.condition])) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Pairs each condition of a later recording with the condition of the same name in the first, or each load. If two
/// recordings have one condition each, these two are a pair whatever their names.
fn pairs(conditions: &[Names]) -> Vec<(String, String)> {
    let [first, later @ ..] = conditions else { return Vec::new() };
    if let ([(_, first)], [second]) = (first.as_slice(), later)
        && let [(_, second)] = second.as_slice()
    {
        return vec![(second.clone(), first.clone())];
    }
    let same = |(short, long): &(String, String)| {
        let (_, first) = first.iter().find(|(name, _)| name == short)?;
        Some((long.clone(), first.clone()))
    };
    later.iter().flatten().filter_map(same).collect()
}
