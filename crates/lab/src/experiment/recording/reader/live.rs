//! Recordings of live traffic: one load, and the parts that a sidecar wrote one after another.

use std::path::Path;

use super::{
    super::{LIVE, LiveTraffic},
    recorded::Recorded,
};
use crate::analysis::{Load, Recording, Slo};

/// The share of the requests that has to succeed, since no other objective is known.
const SHARE: f64 = 0.99;

/// Adds the load, and remarks about the data.
pub(super) fn complete(recording: &mut Recording, live: &LiveTraffic) {
    if live.sample_ratio < 1.0 {
        recording.notes.push(format!(
            "{} of the generations were recorded, chosen at random: rates of requests are {0} of the real ones, and streams \
             that were not recorded are counted in the number of streams only",
            share(live.sample_ratio)
        ));
    }
    let ends = recording.agents.iter().map(|agent| agent.started + agent.duration);
    let begun = recording.agents.iter().map(|agent| agent.started).fold(f64::INFINITY, f64::min);
    let seconds = ends.fold(f64::NEG_INFINITY, f64::max) - begun;
    if seconds > 0.0 {
        recording.loads = vec![Load {
            condition: LIVE.to_owned(),
            rate: recording.agents.len() as f64 / seconds,
            seconds,
            slo: Slo { share: SHARE, ..Slo::default() },
            ..Load::default()
        }];
    }
}

fn share(ratio: f64) -> String {
    format!("{} %", (1e4 * ratio).round() / 100.0)
}

/// Joins the parts of one recording of live traffic, which are in folders beside each other, in the order in which they
/// began. The clock of a later part continues that of the first by the wall clock.
pub(super) fn joined(folder: &Path, mut recorded: Vec<Recorded>) -> Vec<Recorded> {
    let (mut parts, others): (Vec<Recorded>, Vec<Recorded>) = recorded.drain(..).partition(is_part);
    if parts.len() < 2 {
        parts.extend(others);
        return parts;
    }
    let began = |part: &Recorded| part.environment.as_ref().map_or(0.0, |found| found.began_unix_s);
    // The wall clock, which names the parts, may have been set back.
    let first = |part: &Recorded| {
        let times = part.recording.agents.iter().map(|agent| agent.started);
        times.fold(f64::INFINITY, f64::min)
    };
    parts.sort_by(|a, b| began(a).total_cmp(&began(b)).then(first(a).total_cmp(&first(b))));
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else { return others };
    let path = folder.canonicalize().unwrap_or_else(|_| folder.into());
    whole.name = path.file_name().map_or("recording".into(), |name| name.to_string_lossy().into_owned());
    let (mut count, mut simulated) = (1, whole.recording.simulated);
    let ratio = |part: &Recorded| part.environment.as_ref().and_then(|found| found.live);
    let mut mixed = false;
    for part in parts {
        count += 1;
        simulated |= part.recording.simulated;
        mixed |= ratio(&part) != ratio(&whole);
        let later = began(&part) - began(&whole);
        append(&mut whole.recording, part.recording, later);
        whole.problems.extend(part.problems);
    }
    whole.recording.simulated = simulated;
    whole.recording.notes.clear();
    if let Some(live) = ratio(&whole) {
        complete(&mut whole.recording, &live);
    }
    if mixed {
        whole.recording.notes.push("the parts were recorded with different settings of [recording]".into());
    }
    whole.recording.notes.push(format!("{count} parts of live traffic are read as one recording"));
    std::iter::once(whole).chain(others).collect()
}

fn is_part(one: &Recorded) -> bool {
    one.recording.live && one.recording.runs.len() <= 1
}

/// Appends a part whose clock began `later` than that of the first. Its agents get numbers of their own.
fn append(whole: &mut Recording, part: Recording, later: f64) {
    let next = whole.agents.iter().map(|agent| agent.agent + 1).max().unwrap_or(0);
    whole.agents.extend(part.agents.into_iter().map(|mut agent| {
        agent.agent += next;
        agent.started += later;
        agent
    }));
    whole.chunks.extend(part.chunks.into_iter().map(|mut chunk| {
        chunk.agent += next;
        chunk.at += later;
        chunk
    }));
    if whole.runs.is_empty() {
        whole.runs = part.runs;
    }
}
