//! The phases of TR117's suite: folders without a plan that are read as one recording.

use std::path::{Component, Path};

use super::recorded::Recorded;
use crate::{
    analysis::{Condition, Language, Recording},
    experiment::recording::Problem,
};

/// Joins the folders of one suite into the recording `name`, so that their settings can be compared. Each folder is a
/// condition of the result.
pub(super) fn joined(folder: &Path, name: String, recorded: Vec<Recorded>) -> Vec<Recorded> {
    let is_phase = |one: &Recorded| one.recording.conditions.iter().any(|found| found.without_plan);
    if recorded.iter().filter(|one| is_phase(one)).count() < 2 {
        return recorded;
    }
    let (phases, others): (Vec<Recorded>, Vec<Recorded>) = recorded.into_iter().partition(is_phase);
    let (mut recording, mut problems) = (Recording::default(), Vec::new());
    for phase in phases {
        let place = |file: &str| format!("{}/{file}", phase.name);
        problems
            .extend(phase.problems.iter().map(|found| Problem { file: place(&found.file), ..found.clone() }));
        recording.append(phase.recording);
    }
    let path = folder.canonicalize().unwrap_or_else(|_| folder.into());
    name_baselines(&path, &mut recording);
    std::iter::once(Recorded { name, recording, plan: None, environment: None, problems })
        .chain(others)
        .collect()
}

/// Names the condition that each condition is compared with. TR117 varies the read buffer and the pace of its Python agents,
/// and the model of its Rust agents.
fn name_baselines(folder: &Path, recording: &mut Recording) {
    let ran = |condition: &&Condition| recording.runs.iter().any(|run| run.condition == condition.name);
    let conditions: Vec<&Condition> = recording.conditions.iter().filter(ran).collect();
    let of = |condition: &Condition| {
        let (phase, model) = place(folder, &condition.name);
        let same = |other: &&&Condition| other.language == condition.language;
        let control = conditions.iter().filter(same).find(|other| {
            other.remedies.is_empty()
                && condition.language == Language::Python
                && place(folder, &other.name).1 == model
        });
        let first = conditions.iter().filter(same).find(|other| place(folder, &other.name).0 == phase);
        control.or(first).map(|found| found.name.clone()).filter(|name| *name != condition.name)
    };
    let baselines: Vec<Option<String>> = conditions.iter().map(|condition| of(condition)).collect();
    let names: Vec<String> = conditions.iter().map(|condition| condition.name.clone()).collect();
    if baselines.iter().any(Option::is_some) {
        recording.notes.push(
            "TR117's folders have no plan: a read buffer or a pace is compared with the Python agents of the same model \
             without one, and another model with the first one of its phase"
                .into(),
        );
    }
    for (name, baseline) in names.iter().zip(baselines) {
        let condition = recording.conditions.iter_mut().find(|found| found.name == *name);
        condition.into_iter().for_each(|condition| condition.baseline = baseline.clone());
    }
}

/// Returns the phase and the model of a condition, which are folders: `phase1/gemma3_latest/default`.
fn place(folder: &Path, name: &str) -> (Option<String>, Option<String>) {
    let path = folder.join(name);
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let is_phase = |part: &str| {
        part.strip_prefix("phase")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let mut parts = parts.skip_while(|part| !is_phase(part));
    (parts.next().map(str::to_owned), parts.next().map(str::to_owned))
}
