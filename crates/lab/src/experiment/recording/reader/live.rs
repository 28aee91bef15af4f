//! Recordings of live traffic: one load, and the parts that a sidecar wrote one after another.

use std::path::{Path, PathBuf};

use super::{
    super::{
        LIVE, LiveTraffic,
        layout::{ENVIRONMENT, PLAN},
        problem::Problem,
        writer::is_part,
    },
    Reading,
    recorded::Recorded,
};
use crate::analysis::{Load, Recording, RunKind, Slo};

/// The share of the requests that has to succeed, since no other objective is known.
const SHARE: f64 = 0.99;

/// Parts of two starts of the sidecar overlap only if they do by more than this, in seconds.
const OVERLAP: f64 = 1.0;

/// Reports what is not known without `environment.json`, and returns how live traffic was recorded, which the runs alone
/// tell. `None`: the recording is that of an experiment.
pub(super) fn without_environment(reading: &mut Reading<'_>, recording: &Recording) -> Option<LiveTraffic> {
    reading.problems.say(ENVIRONMENT, None, "missing", || {
        "the machine and the versions are not known without it, nor whether a simulated Ollama answered"
            .into()
    });
    let [run] = recording.runs.as_slice() else { return None };
    let is_live = run.kind == RunKind::Open && run.condition == LIVE && !reading.has(PLAN);
    is_live.then_some(LiveTraffic { sample_ratio: 1.0, callers: false })
}

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

/// Joins the parts of each recording of live traffic, which a sidecar wrote into one folder. Recordings beside each other
/// stay apart. `folder` is the name of the folder that was read.
pub(super) fn joined(folder: &str, recorded: Vec<Recorded>) -> Vec<Recorded> {
    let mut found: Vec<(Option<PathBuf>, Vec<Recorded>)> = Vec::new();
    for one in recorded {
        let above = of_parts(&one);
        match found.iter_mut().find(|(other, _)| above.is_some() && *other == above) {
            Some((_, parts)) => parts.push(one),
            None => found.push((above, vec![one])),
        }
    }
    let join = |(above, parts): (Option<PathBuf>, Vec<Recorded>)| match above {
        Some(above) => {
            let name = match above.as_os_str().is_empty() {
                true => folder.to_owned(),
                false => above.to_string_lossy().into_owned(),
            };
            whole(name, parts)
        }
        None => parts,
    };
    found.into_iter().flat_map(join).collect()
}

/// Returns the folder of the recording that this part belongs to, as a path below the folder that was read.
fn of_parts(one: &Recorded) -> Option<PathBuf> {
    let path = Path::new(&one.name);
    let is_named_so = path.file_name().and_then(|name| name.to_str()).is_some_and(is_part);
    let is_live = one.recording.live && one.recording.runs.len() <= 1;
    path.parent().filter(|_| is_named_so && is_live).map(Path::to_owned)
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Lets the problems of several parts name their part. Removes the parts that cannot be placed in time beside the others,
/// and returns their problems.
fn leave_out(parts: &mut Vec<Recorded>) -> Vec<Problem> {
    let mut left_out = Vec::new();
    if parts.len() < 2 {
        return left_out;
    }
    for part in &mut *parts {
        let name = file_name(&part.name);
        part.problems.iter_mut().for_each(|Problem { file, .. }| *file = format!("{name}/{file}"));
    }
    if parts.iter().any(|part| part.environment.is_some()) {
        // Without its environment, nobody knows when the clock of a part began.
        for part in parts.extract_if(.., |part| part.environment.is_none()) {
            left_out.extend(part.problems);
            let what = "the part is left out, because the beginning of its clock is not known".to_owned();
            left_out.push(Problem { file: file_name(&part.name), line: None, what });
        }
    }
    left_out
}

/// Joins the parts of one recording in the order in which they began. The clock of a later part continues that of the first
/// by the wall clock.
fn whole(name: String, mut parts: Vec<Recorded>) -> Vec<Recorded> {
    let left_out = leave_out(&mut parts);
    let began = |part: &Recorded| part.environment.as_ref().map_or(0.0, |found| found.began_unix_s);
    // The wall clock, which names the parts, may have been set back.
    let first = |part: &Recorded| {
        let times = part.recording.agents.iter().map(|agent| agent.started);
        times.fold(f64::INFINITY, f64::min)
    };
    parts.sort_by(|a, b| began(a).total_cmp(&began(b)).then(first(a).total_cmp(&first(b))));
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else { return Vec::new() };
    whole.name = name;
    let (mut count, mut simulated) = (1, whole.recording.simulated);
    let ratio = |part: &Recorded| part.environment.as_ref().and_then(|found| found.live);
    let mut mixed = false;
    let last = |part: &Recorded| {
        let times = part.recording.agents.iter().map(|agent| agent.started + agent.duration);
        times.fold(f64::NEG_INFINITY, f64::max)
    };
    let (mut end, mut last_began, mut overlap) = (last(&whole), 0.0, 0.0_f64);
    for part in parts {
        count += 1;
        simulated |= part.recording.simulated;
        mixed |= ratio(&part) != ratio(&whole);
        let later = began(&part) - began(&whole);
        // Parts of one start of the sidecar have one clock. Its streams may run from one part into the next.
        if later > last_began {
            overlap = overlap.max(end - (first(&part) + later));
        }
        last_began = later;
        end = end.max(last(&part) + later);
        append(&mut whole.recording, part.recording, later);
        whole.problems.extend(part.problems);
    }
    whole.problems.extend(left_out);
    whole.recording.simulated = simulated;
    whole.recording.notes.clear();
    if let Some(live) = ratio(&whole) {
        complete(&mut whole.recording, &live);
    }
    if overlap > OVERLAP {
        whole.recording.notes.push(format!(
            "parts that two starts of the sidecar wrote overlap by up to {overlap:.0} s: the clock of the machine was set \
             back, or two sidecars write into one folder. Streams of these parts seem to run beside each other"
        ));
    }
    if mixed {
        whole.recording.notes.push("the parts were recorded with different settings of [recording]".into());
    }
    if count > 1 {
        whole.recording.notes.push(format!("{count} parts of live traffic are read as one recording"));
    }
    vec![whole]
}

/// Appends a part whose clock began `later` than that of the first. Its agents get numbers of their own.
fn append(whole: &mut Recording, part: Recording, later: f64) {
    let next = whole.agents.iter().map(|agent| agent.agent.saturating_add(1)).max().unwrap_or(0);
    whole.agents.extend(part.agents.into_iter().map(|mut agent| {
        agent.agent = agent.agent.saturating_add(next);
        agent.started += later;
        agent
    }));
    whole.chunks.extend(part.chunks.into_iter().map(|mut chunk| {
        chunk.agent = chunk.agent.saturating_add(next);
        chunk.at += later;
        chunk
    }));
    if whole.runs.is_empty() {
        whole.runs = part.runs;
    }
}
