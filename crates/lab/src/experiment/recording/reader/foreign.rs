//! TR117's layout: chunks and lag of all runs of a folder in one file each, and JSON files of the runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::layout::{AGENTS, CHUNKS, GPU, LAG, RUNS},
    Reading,
    suite::SuiteRun,
};
use crate::analysis::{Agent, Condition, Language, Recording, Run, RunKind};

/// Seconds, and a share, by which an agent's chunks may exceed its duration: the two clocks differ.
const SLACK: (f64, f64) = (0.1, 0.05);

/// The chunks of one agent of one run.
struct AgentChunks {
    began: f64,
    first: f64,
    last: f64,
}

/// Creates runs and agents from the files. Without JSON files, an agent's time is from its first chunk, less
/// that chunk's gap, to its last.
pub(super) fn complete(
    reading: &mut Reading<'_>,
    recording: &mut Recording,
    name: &str,
    mut suite: Vec<SuiteRun>,
) {
    rebase(recording);
    // TR117's chunks are those of Python agents.
    let language = suite.first().map_or(Language::Python, |run| run.language);
    let remedies = suite.first().map_or_else(Vec::new, |run| run.remedies.clone());
    recording.conditions.push(Condition {
        name: name.into(),
        language,
        remedies,
        without_plan: true,
        ..Condition::default()
    });
    let spans = spans(recording);
    say_missing(reading, recording, &suite, &spans);
    if suite.is_empty() {
        by_chunks(recording, name, &spans);
    } else {
        if !spans.is_empty() && !align(reading, recording, &mut suite, &spans) {
            recording.chunks.clear();
            recording.lag.clear();
        }
        by_suite(recording, name, suite);
    }
    place_lag(recording);
}

/// Makes all times count from the first chunk or sample. The times of the GPU count from its own first sample, because
/// its file has another clock.
fn rebase(recording: &mut Recording) {
    let starts = recording.chunks.iter().map(|chunk| chunk.at).chain(recording.lag.iter().map(|lag| lag.at));
    let zero = starts.fold(f64::INFINITY, f64::min);
    if zero.is_finite() {
        recording.chunks.iter_mut().for_each(|chunk| chunk.at -= zero);
        recording.lag.iter_mut().for_each(|lag| lag.at -= zero);
    }
    let gpu = recording.gpu.iter().map(|sample| sample.at).fold(f64::INFINITY, f64::min);
    if gpu.is_finite() {
        recording.gpu.iter_mut().for_each(|sample| sample.at -= gpu);
    }
}

fn spans(recording: &Recording) -> BTreeMap<(u32, u32), AgentChunks> {
    let mut spans: BTreeMap<(u32, u32), AgentChunks> = BTreeMap::new();
    for chunk in &recording.chunks {
        let began = chunk.at - if chunk.gap.is_finite() { chunk.gap } else { 0.0 };
        let span = spans.entry((chunk.run, chunk.agent)).or_insert(AgentChunks {
            began,
            first: chunk.at,
            last: chunk.at,
        });
        span.last = span.last.max(chunk.at);
    }
    spans
}

fn by_chunks(recording: &mut Recording, name: &str, spans: &BTreeMap<(u32, u32), AgentChunks>) {
    if recording.agents.is_empty() {
        let agent = |(&(run, agent), span): (&(u32, u32), &AgentChunks)| Agent {
            run,
            agent,
            role: format!("agent {agent}"),
            started: span.began,
            duration: span.last - span.began,
            ..Agent::default()
        };
        recording.agents = spans.iter().map(agent).collect();
    }
    let mut runs: BTreeMap<u32, f64> = BTreeMap::new();
    for agent in &recording.agents {
        let started = runs.entry(agent.run).or_insert(agent.started);
        *started = started.min(agent.started);
    }
    if runs.is_empty() {
        runs.extend(recording.lag.first().map(|sample| (sample.run, sample.at)));
    }
    let run = |(id, started)| Run { id, condition: name.into(), started, ..Run::default() };
    recording.runs = runs.into_iter().map(run).collect();
}

/// Gives the chunks the numbers of the runs, and the agents the times of their chunks. `false`: the chunks do not match
/// the JSON files.
fn align(
    reading: &mut Reading<'_>,
    recording: &mut Recording,
    suite: &mut [SuiteRun],
    spans: &BTreeMap<(u32, u32), AgentChunks>,
) -> bool {
    let found: BTreeSet<u32> = spans.keys().map(|(run, _)| *run).collect();
    let (have, told) = (found.len(), suite.len());
    if have != told {
        reading.problems.say(CHUNKS, None, "runs", || {
            format!(
                "it has {have} runs, and there are {told} JSON files of runs: its rows and those of {LAG} are left out"
            )
        });
        return false;
    }
    let numbers: BTreeMap<u32, u32> = found.into_iter().zip(suite.iter().map(|run| run.number)).collect();
    for ((run, agent), span) in spans {
        let number = numbers[run];
        let of_run = suite.iter_mut().filter(|found| found.number == number);
        let Some(known) = of_run.flat_map(|run| &mut run.agents).find(|known| known.agent == *agent) else {
            reading.problems.say(CHUNKS, None, "runs", || {
                format!("an agent of run {number} is not in its JSON file: its rows and those of {LAG} are left out")
            });
            return false;
        };
        let span_s = span.last - span.first;
        if span_s > known.duration * (1.0 + SLACK.1) + SLACK.0 {
            let role = known.role.clone();
            reading.problems.say(CHUNKS, None, "runs", || {
                format!(
                    "{role} of run {number} has chunks over {span_s:.1} s, which is longer than the run in its JSON \
                     file: its rows and those of {LAG} are left out"
                )
            });
            return false;
        }
        known.started = span.first - known.first_token.unwrap_or(0.0);
    }
    recording.chunks.iter_mut().for_each(|chunk| chunk.run = numbers[&chunk.run]);
    true
}

/// Places runs without chunks one after another, because their times are unknown.
fn by_suite(recording: &mut Recording, name: &str, suite: Vec<SuiteRun>) {
    let timed = !recording.chunks.is_empty();
    let mut now = 0.0;
    recording.agents.clear();
    for mut run in suite {
        let longest = run.agents.iter().map(|agent| agent.duration).fold(0.0, f64::max);
        if !timed {
            run.agents.iter_mut().for_each(|agent| agent.started = now);
        }
        let started = run.agents.iter().map(|agent| agent.started).fold(f64::INFINITY, f64::min);
        now += run.wall.unwrap_or(longest);
        recording.runs.push(Run {
            id: run.number,
            condition: name.into(),
            kind: RunKind::Together,
            started,
            wall: run.wall,
            ..Run::default()
        });
        recording.agents.extend(run.agents);
    }
}

/// Gives each sample of lag to the run in which it was taken. If there is one run only, it gets all samples.
fn place_lag(recording: &mut Recording) {
    let [_, _, ..] = recording.runs.as_slice() else {
        let only = recording.runs.first().map_or(super::ONLY_RUN, |run| run.id);
        recording.lag.iter_mut().for_each(|sample| sample.run = only);
        return;
    };
    let mut ends: BTreeMap<u32, f64> = BTreeMap::new();
    for agent in &recording.agents {
        let end = ends.entry(agent.run).or_insert(f64::NEG_INFINITY);
        *end = end.max(agent.started + agent.duration);
    }
    let runs = &recording.runs;
    recording.lag.retain_mut(|sample| {
        let within =
            |run: &&Run| run.started <= sample.at && ends.get(&run.id).is_some_and(|end| sample.at <= *end);
        let found = runs.iter().find(within);
        if let Some(run) = found {
            sample.run = run.id;
        }
        found.is_some()
    });
}

/// Reports each missing file, and what the report lacks without it.
fn say_missing(
    reading: &mut Reading<'_>,
    recording: &Recording,
    suite: &[SuiteRun],
    spans: &BTreeMap<(u32, u32), AgentChunks>,
) {
    for (file, lost) in [
        (CHUNKS, "no gaps and no chunk rates"),
        (LAG, "no lag of event loops"),
        (GPU, "no power, utilization or PCIe rate of a GPU"),
    ] {
        if !reading.has(file) {
            reading.problems.say(file, None, "missing", || format!("it is missing: the report has {lost}"));
        }
    }
    if !suite.is_empty() {
        return;
    }
    let what = if !recording.agents.is_empty() {
        format!("the agents of a run in {AGENTS} are taken for Python agents that ran together")
    } else if !spans.is_empty() {
        format!(
            "the rows of {CHUNKS} are taken for those of Python agents that ran together, with the time of their \
             chunks as their duration; numbers of tokens are not known"
        )
    } else {
        "no run is known, so there are no durations and no efficiency".into()
    };
    reading.problems.say(RUNS, None, "missing", || format!("it is missing: {what}"));
}
