//! The report's layout: chunks and lag of one run, and no file that says so.

use std::collections::BTreeMap;

use super::{
    super::layout::{AGENTS, CHUNKS, GPU, LAG, RUNS},
    ONLY_RUN, Reading,
};
use crate::analysis::{Agent, Condition, Language, Recording, Run, RunKind};

/// Makes runs and agents of what the rows tell: an agent's time is from its first chunk, less that chunk's gap, to
/// its last.
pub(super) fn complete(reading: &mut Reading<'_>, recording: &mut Recording, name: &str) {
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
    // The report's agents are Python's.
    let condition = Condition { name: name.into(), language: Language::Python, ..Condition::default() };
    recording.conditions.push(condition);
    let mut runs: BTreeMap<u32, RunKind> = BTreeMap::new();
    let mut agents: BTreeMap<(u32, u32), Agent> = BTreeMap::new();
    for chunk in &recording.chunks {
        runs.insert(chunk.run, RunKind::Together);
        let began = chunk.at - if chunk.gap.is_finite() { chunk.gap } else { 0.0 };
        let agent = agents.entry((chunk.run, chunk.agent)).or_insert_with(|| Agent {
            run: chunk.run,
            agent: chunk.agent,
            role: format!("agent {}", chunk.agent),
            started: began,
            ..Agent::default()
        });
        agent.duration = (chunk.at - agent.started).max(agent.duration);
    }
    if recording.agents.is_empty() {
        recording.agents = agents.into_values().collect();
    }
    if runs.is_empty() && !recording.lag.is_empty() {
        runs.insert(ONLY_RUN, RunKind::Together);
    }
    recording.runs = runs
        .into_iter()
        .map(|(id, kind)| Run { id, condition: name.into(), kind, ..Run::default() })
        .collect();
    for (file, lost) in
        [(CHUNKS, "gaps, chunk rates and durations"), (LAG, "lag"), (GPU, "power, utilization and PCIe")]
    {
        if !reading.has(file) {
            reading
                .problems
                .say(file, None, "missing", || format!("it is missing: nothing is said of {lost}"));
        }
    }
    let agents = if reading.has(AGENTS) {
        ""
    } else {
        "; durations are those of the chunks, and tokens are not known"
    };
    reading.problems.say(RUNS, None, "missing", || {
        format!(
            "it is missing: all is taken for Python agents that run together, and without solo runs there is no \
             true speedup{agents}"
        )
    });
}
