//! Rows that belong to no run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    super::layout::{AGENTS, CHUNKS, LAG, RUNS},
    Reading,
};
use crate::analysis::{Condition, Recording, RunDigest, RunKind};

/// Leaves out the rows of runs that did not end, and reports missing agents.
pub(super) fn keep_whole_runs(reading: &mut Reading<'_>, recording: &mut Recording) {
    let whole: HashSet<u32> = recording.runs.iter().map(|run| run.id).collect();
    let mut lost: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut keep = |file: &'static str, run: u32| {
        let kept = whole.contains(&run);
        if !kept {
            lost.entry(file).or_default().insert(run);
        }
        kept
    };
    recording.agents.retain(|agent| keep(AGENTS, agent.run));
    recording.chunks.retain(|chunk| keep(CHUNKS, chunk.run));
    recording.lag.retain(|sample| keep(LAG, sample.run));
    recording.digests.retain(|digest| {
        let (has_chunks, has_lag) = digest.has_rows();
        (!has_chunks || keep(CHUNKS, digest.run)) & (!has_lag || keep(LAG, digest.run))
    });
    for (file, runs) in lost {
        for run in runs {
            reading.problems.say(file, None, "run", || {
                format!("run {run} has rows here and none in {RUNS}: it was interrupted, and is left out")
            });
        }
    }
    let with_agents: HashSet<u32> = recording.agents.iter().map(|agent| agent.run).collect();
    let with_chunks: HashSet<(u32, u32)> =
        recording.chunks.iter().map(|chunk| (chunk.run, chunk.agent)).collect();
    let digests: HashMap<u32, &RunDigest> =
        recording.digests.iter().map(|digest| (digest.run, digest)).collect();
    for run in &recording.runs {
        // A recording of live traffic is whole without a request.
        if !with_agents.contains(&run.id) && reading.has(AGENTS) && !recording.live {
            reading.problems.say(AGENTS, None, "agents", || {
                format!("run {} has no agent here, so it is left out", run.id)
            });
        }
    }
    for agent in &recording.agents {
        let seen = with_chunks.contains(&(agent.run, agent.agent))
            || digests.get(&agent.run).is_some_and(|digest| digest.has_chunk_of(agent.agent));
        // A response that is no stream, of live traffic, has none.
        if !seen && agent.failure.is_none() && agent.served.is_none() && reading.has(CHUNKS) {
            let (run, number) = (agent.run, agent.agent);
            reading.problems.say(CHUNKS, None, "chunks", || {
                format!("agent {number} of run {run} has no chunk: its gaps are not known")
            });
        }
    }
}

/// Adds every condition that a run names.
pub(super) fn name_conditions(recording: &mut Recording) {
    for run in recording.runs.iter().filter(|run| run.kind != RunKind::Open) {
        if recording.conditions.iter().all(|condition| condition.name != run.condition) {
            recording.conditions.push(Condition { name: run.condition.clone(), ..Condition::default() });
        }
    }
}
