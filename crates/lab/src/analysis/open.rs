//! Open-loop loads: requests arrive at their own times, and each is judged by service level objectives (SLOs).
//!
//! Latency counts from the time at which a request was due, not from the time at which it was sent: a load generator
//! that is held up by a slow server would otherwise leave out the waits that it should measure ("coordinated omission";
//! Tene, "How NOT to measure latency", 2013).

mod rate;
mod request;
#[cfg(feature = "experiment")]
mod summary;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Agent, Gaps, Recording, RunKind, Settings, consumption::Used, digest::Digests};

use rate::LoadRun;
#[cfg(feature = "experiment")]
pub(crate) use rate::Quantiles;
pub(crate) use rate::Rate;
#[cfg(feature = "experiment")]
pub(crate) use request::NOT_SENT;
pub use request::Request;
pub(crate) use sweep::Sweep;

/// Returns the names of the conditions of the open-loop runs that count, by run.
fn open_runs(recording: &Recording) -> HashMap<u32, &str> {
    let counts = recording.runs.iter().filter(|run| run.kind == RunKind::Open && !run.warm_up);
    counts.map(|run| (run.id, run.condition.as_str())).collect()
}

/// Returns the requests of each open-loop run that counts.
#[cfg(feature = "experiment")]
#[must_use]
pub(crate) fn requests(recording: &Recording) -> BTreeMap<u32, Vec<Request>> {
    let mut gaps: HashMap<(u32, u32), Gaps> = HashMap::new();
    for chunk in &recording.chunks {
        gaps.entry((chunk.run, chunk.agent)).or_default().add(chunk.gap);
    }
    of_runs(recording, |agent| gaps.get(&(agent.run, agent.agent)))
}

fn of_runs<'a>(
    recording: &Recording,
    gaps: impl Fn(&Agent) -> Option<&'a Gaps>,
) -> BTreeMap<u32, Vec<Request>> {
    let open = open_runs(recording);
    let mut requests: BTreeMap<u32, Vec<Request>> = open.keys().map(|run| (*run, Vec::new())).collect();
    for agent in &recording.agents {
        if let Some(requests) = requests.get_mut(&agent.run) {
            requests.push(Request::of(agent, gaps(agent)));
        }
    }
    requests
}

/// Returns what the GPUs used during each open-loop run, and for how many tokens.
fn used(recording: &Recording) -> HashMap<u32, Used> {
    let mut tokens: HashMap<u32, u64> = HashMap::new();
    for agent in &recording.agents {
        *tokens.entry(agent.run).or_default() += agent.tokens.unwrap_or(0);
    }
    let open = recording.runs.iter().filter(|run| run.kind == RunKind::Open);
    open.filter_map(|run| {
        let tokens = tokens.get(&run.id).copied().unwrap_or(0);
        Some((run.id, Used { joules: run.joules?, wall: run.wall?, tokens }))
    })
    .collect()
}

/// Summarises every sweep, and every load that belongs to none.
pub(super) fn sweeps(
    recording: &Recording,
    digests: &Digests<'_>,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Vec<Sweep> {
    let open = open_runs(recording);
    let requests = of_runs(recording, |agent| digests.get(&agent.run)?.responses.get(&agent.agent));
    let used = used(recording);
    let served: HashSet<&str> = recording
        .agents
        .iter()
        .filter(|agent| agent.served.is_some())
        .filter_map(|agent| open.get(&agent.run).copied())
        .collect();
    let repetitions: HashMap<u32, Option<u32>> =
        recording.runs.iter().map(|run| (run.id, run.repetition)).collect();
    for (run, condition) in &open {
        if recording.loads.iter().all(|load| load.condition != *condition) {
            notes.push(format!("run {run} is left out: the plan has no load {condition}"));
        }
    }
    let mut sweeps: Vec<(String, Vec<Rate>)> = Vec::new();
    for load in &recording.loads {
        let of_load = |(run, requests): (&u32, &Vec<Request>)| {
            (open[run] == load.condition && !requests.is_empty()).then(|| LoadRun {
                repetition: repetitions.get(run).copied().flatten(),
                requests: requests.clone(),
                used: used.get(run).copied(),
            })
        };
        let runs: Vec<LoadRun> = requests.iter().filter_map(of_load).collect();
        // The stop rule skips rates.
        if runs.is_empty() {
            continue;
        }
        let rate = Rate::of(load, &runs, settings);
        let name = load.series.as_ref().unwrap_or(&load.condition);
        match sweeps.iter_mut().find(|(known, _)| known == name) {
            Some((_, rates)) => rates.push(rate),
            None => sweeps.push((name.clone(), vec![rate])),
        }
    }
    let sweeps: Vec<Sweep> = sweeps.into_iter().map(|(name, rates)| Sweep::of(name, rates)).collect();
    // Nobody stated objectives of live traffic.
    let stated =
        |sweep: &&Sweep| sweep.rates.iter().all(|rate| !served.contains(rate.load.condition.as_str()));
    notes.extend(sweeps.iter().filter(stated).flat_map(Sweep::notes));
    sweeps
}
