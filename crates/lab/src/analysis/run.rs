//! Summarises one run.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    Agent, OverlapSpeedup, Recording, Run, RunDigest, RunKind, Spread, TrueSpeedup,
    digest::Digests,
    overlap_speedup,
    statistic::{centre, sum},
};

/// The figures of one run, in seconds, tokens and bytes. A value that is not known is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run's number.
    pub(crate) id: u32,
    /// Its condition.
    pub(crate) condition: String,
    /// The number of the repetition, from 0. `None`: the conditions did not take turns.
    pub(crate) repetition: Option<u32>,
    /// Solo or together.
    pub(crate) kind: RunKind,
    /// The number of agents.
    pub(crate) agents: usize,
    /// The time from the first agent's start to the last agent's end, in seconds.
    pub(crate) wall: f64,
    /// The overlap speedup. `None`: an agent failed.
    pub(crate) overlap: Option<OverlapSpeedup>,
    /// The true speedup, from the condition's solo runs. The interval contains the uncertainty of the solo runs.
    /// `None` for solo runs, if an agent failed, and if a role has no solo run.
    pub(crate) truth: Option<TrueSpeedup>,
    /// Shortest duration / longest duration. 1 means equal durations.
    pub(crate) balance: Option<f64>,
    /// Tokens of all agents.
    pub(crate) tokens: u64,
    /// Tokens of all agents / wall time, in tokens per second.
    pub(crate) throughput: Option<f64>,
    /// The mean of the agents' `eval_count / eval_duration`, in tokens per second, as Ollama reports it.
    pub(crate) reported_throughput: Option<f64>,
    /// The reported throughput of the last agent − that of the first.
    pub(crate) throughput_delta: Option<f64>,
    /// Seconds to the first token, over the agents.
    pub(crate) first_token: Option<Spread>,
    /// Seconds between chunks, over all agents.
    pub(crate) gap: Option<Spread>,
    /// The lag of the event loops in seconds, by the probe on a schedule if there is one.
    pub(crate) lag: Option<Spread>,
    /// Seconds to parse a chunk.
    pub(crate) parse: Option<Spread>,
    /// Chunks of all agents.
    pub chunks: usize,
    /// Chunks of all agents / wall time, in chunks per second.
    pub(crate) chunks_per_second: Option<f64>,
    /// The mean size of a chunk in bytes.
    pub(crate) chunk_bytes: Option<f64>,
    /// CPU time of all agents, in seconds per token.
    pub(crate) cpu_per_token: Option<f64>,
    /// The energy that all GPUs used during the run, in joules. It includes what other programs used.
    pub(crate) joules: Option<f64>,
    /// The failures, with the agents that failed.
    pub(crate) failures: Vec<String>,
}

/// A share, and seconds, by which an agent may last longer than its run: the two may be rounded.
const SLACK: (f64, f64) = (0.01, 0.01);

/// The agents of one run, and the digest of its other rows.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub(super) agents: Vec<&'a Agent>,
    digest: Option<&'a RunDigest>,
}

impl<'a> Rows<'a> {
    /// Groups the agents and the digests by the number of their run.
    pub(super) fn by_run(recording: &'a Recording, digests: &'a Digests<'a>) -> HashMap<u32, Rows<'a>> {
        let mut rows: HashMap<u32, Rows<'a>> = HashMap::new();
        for agent in &recording.agents {
            rows.entry(agent.run).or_default().agents.push(agent);
        }
        for digest in digests.values() {
            rows.entry(digest.run).or_default().digest = Some(digest);
        }
        for rows in rows.values_mut() {
            rows.agents.sort_by_key(|agent| agent.agent);
        }
        rows
    }

    /// Returns the reason why the rows of the agents cannot be used, if there is one.
    fn fault(&self, run: &Run) -> Option<String> {
        let agents = &self.agents;
        if let Some(pair) = agents.windows(2).find(|pair| pair[0].agent == pair[1].agent) {
            return Some(format!("it has agent {} twice", pair[0].agent));
        }
        let impossible = |agent: &&&Agent| !(agent.started.is_finite() && agent.duration >= 0.0);
        if let Some(agent) = agents.iter().find(impossible) {
            return Some(format!("its agent {} has no duration", agent.agent));
        }
        let longest = |wall: f64| wall * (1.0 + SLACK.0) + SLACK.1;
        let exceeds = |agent: &&&Agent| run.wall.is_some_and(|wall| agent.duration > longest(wall));
        if let Some(agent) = agents.iter().find(exceeds) {
            let (duration, wall) = (agent.duration, run.wall.unwrap_or_default());
            let agent = agent.agent;
            return Some(format!(
                "its agent {agent} took {duration:.2} s, and the run took only {wall:.2} s"
            ));
        }
        match run.agents {
            _ if agents.is_empty() => Some("it has no agent with a duration".into()),
            Some(expected) if expected as usize != agents.len() => {
                Some(format!("it has {}, and {expected} took part", counted(agents.len())))
            }
            _ => None,
        }
    }

    /// Returns the figures of the run, without the true speedup, or the reason why there are none.
    pub(super) fn summarise(&self, run: &Run) -> Result<RunSummary, String> {
        if let Some(fault) = self.fault(run) {
            return Err(fault);
        }
        let starts = self.agents.iter().map(|agent| agent.started);
        let ends = self.agents.iter().map(|agent| agent.started + agent.duration);
        let around = ends.fold(f64::NEG_INFINITY, f64::max) - starts.fold(f64::INFINITY, f64::min);
        let wall = run.wall.unwrap_or(around);
        if !(wall.is_finite() && wall > 0.0) {
            return Err("its agents took no time".into());
        }
        let failures: Vec<String> = self
            .agents
            .iter()
            .filter_map(|agent| {
                Some(format!("agent {} ({}): {}", agent.agent, agent.role, agent.failure.as_ref()?))
            })
            .collect();
        let whole = failures.is_empty();
        let durations: Vec<f64> = self.agents.iter().map(|agent| agent.duration).collect();
        let longest = durations.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shortest = durations.iter().copied().fold(f64::INFINITY, f64::min);
        let known = self.agents.iter().filter_map(|agent| agent.tokens);
        // The tokens of some agents say nothing about the throughput of all.
        let is_counted = !whole || known.clone().count() == self.agents.len();
        let tokens = if is_counted { known.sum::<u64>() } else { 0 };
        let rates: Vec<f64> = self.agents.iter().filter_map(|agent| reported_rate(agent)).collect();
        let every_rate = (whole && rates.len() == self.agents.len()).then_some(rates);
        let cpu: Option<Vec<f64>> = self.agents.iter().map(|agent| agent.cpu).collect();
        let digest = self.digest;
        let chunks = digest.map_or(0, |digest| digest.chunks);
        let bytes = digest.map_or(0, |digest| digest.bytes);
        Ok(RunSummary {
            id: run.id,
            condition: run.condition.clone(),
            repetition: run.repetition,
            kind: run.kind,
            agents: durations.len(),
            wall,
            overlap: if whole { overlap_speedup(&durations, wall) } else { None },
            truth: None,
            balance: (whole && longest > 0.0).then_some(shortest / longest),
            tokens,
            throughput: (whole && tokens > 0).then_some(tokens as f64 / wall),
            throughput_delta: every_rate.as_ref().and_then(|rates| {
                let [first, .., last] = rates.as_slice() else { return None };
                Some(last - first)
            }),
            reported_throughput: every_rate.filter(|rates| !rates.is_empty()).map(|rates| centre(&rates)),
            first_token: Spread::of(&mut self.agents.iter().filter_map(|agent| agent.first_token).collect()),
            gap: digest.and_then(|digest| digest.gap),
            lag: digest.and_then(|digest| digest.lag),
            parse: digest.and_then(|digest| digest.parse),
            chunks,
            chunks_per_second: (chunks > 0).then_some(chunks as f64 / wall),
            chunk_bytes: (chunks > 0).then_some(bytes as f64 / chunks as f64),
            cpu_per_token: cpu.filter(|_| tokens > 0).map(|cpu| sum(cpu) / tokens as f64),
            joules: run.joules,
            failures,
        })
    }
}

/// Leaves out concurrent runs that have fewer agents than the other runs of their condition.
pub(super) fn leave_out_partial(runs: &mut Vec<RunSummary>, notes: &mut Vec<String>) {
    let mut most: HashMap<String, usize> = HashMap::new();
    for run in runs.iter().filter(|run| run.kind == RunKind::Together) {
        let agents = most.entry(run.condition.clone()).or_default();
        *agents = run.agents.max(*agents);
    }
    runs.retain(|run| {
        let expected = most.get(&run.condition).copied().unwrap_or(0);
        let whole = run.kind == RunKind::Solo || run.agents == expected;
        if !whole {
            notes.push(format!(
                "run {} is left out: it has {}, and the other runs of {} have {expected}",
                run.id,
                counted(run.agents),
                run.condition
            ));
        }
        whole
    });
}

/// Returns a number of agents in words.
pub(super) fn counted(agents: usize) -> String {
    if agents == 1 { "1 agent".into() } else { format!("{agents} agents") }
}

fn reported_rate(agent: &Agent) -> Option<f64> {
    agent.tokens.zip(agent.eval_duration).filter(|(_, duration)| *duration > 0.0).map(|(n, d)| n as f64 / d)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Chunk, reduction::digests},
        *,
    };

    fn agent(agent: u32, started: f64, duration: f64, eval_duration: f64) -> Agent {
        let (tokens, cpu) = (Some(100), Some(0.02));
        let eval_duration = Some(eval_duration);
        Agent { run: 1, agent, started, duration, tokens, eval_duration, cpu, ..Agent::default() }
    }

    #[test]
    fn run_lasts_from_first_start_to_last_end_and_delta_is_last_minus_first_agent() {
        let chunk = |agent, gap| Chunk {
            run: 1,
            agent,
            at: 1.0,
            bytes: 100,
            records: 1,
            gap,
            parse: f64::NAN,
            streams: 0,
        };
        let recording = Recording {
            // The order is wrong on purpose.
            agents: vec![agent(1, 0.5, 2.0, 2.0), agent(0, 0.0, 1.5, 1.0)],
            chunks: vec![chunk(0, f64::NAN), chunk(1, 0.1), chunk(0, 0.3)],
            ..Recording::default()
        };
        let digests = digests(&recording, 1.0);
        let run = Run { id: 1, ..Run::default() };
        let summary = Rows::by_run(&recording, &digests)[&1].summarise(&run).unwrap();
        assert_eq!((summary.wall, summary.tokens, summary.throughput), (2.5, 200, Some(80.0)));
        assert_eq!((summary.reported_throughput, summary.throughput_delta), (Some(75.0), Some(-50.0)));
        assert_eq!(summary.overlap.unwrap().speedup, 1.4);
        assert_eq!((summary.chunks, summary.chunk_bytes), (3, Some(100.0)));
        let gap = summary.gap.unwrap();
        assert_eq!((gap.n, gap.min, gap.max), (2, 0.1, 0.3));
        assert_eq!(summary.cpu_per_token, Some(0.0002));
        assert!(summary.parse.is_none() && summary.lag.is_none());
    }

    #[test]
    fn run_of_which_one_agent_has_no_tokens_has_no_throughput() {
        let without = Agent { tokens: None, ..agent(1, 0.0, 2.0, 2.0) };
        let recording = Recording { agents: vec![agent(0, 0.0, 2.0, 2.0), without], ..Recording::default() };
        let run = Run { id: 1, ..Run::default() };
        let summary = Rows::by_run(&recording, &Digests::new())[&1].summarise(&run).unwrap();
        assert_eq!((summary.tokens, summary.throughput, summary.cpu_per_token), (0, None, None));
    }

    #[test]
    fn run_without_known_time_has_no_summary() {
        let of = |agents: Vec<Agent>| {
            let recording = Recording { agents, ..Recording::default() };
            Rows::by_run(&recording, &Digests::new())
                .remove(&1)
                .unwrap_or_default()
                .summarise(&Run { id: 1, ..Run::default() })
        };
        assert_eq!(of(vec![agent(0, 5.0, -1.0, 1.0)]), Err("its agent 0 has no duration".into()));
        assert_eq!(of(vec![agent(0, 5.0, 0.0, 1.0)]), Err("its agents took no time".into()));
        assert_eq!(of(Vec::new()), Err("it has no agent with a duration".into()));
    }
}
