//! A recording in memory, as plain rows.
//!
//! The columns are a superset of those of TR117 (2.2, 2.3 and appendix B), in base units. Times are seconds since the
//! start of the recording. A value that was not measured is `None`. [`Chunk`] and [`GpuSample`] have NaN instead, because
//! a recording has millions of chunks, and NaN needs no further memory.

use serde::Serialize;

use super::{Load, RunDigest};

/// The data of an experiment. The rows have no order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The conditions in which agents run together.
    pub conditions: Vec<Condition>,
    /// The conditions with an open-loop load.
    pub loads: Vec<Load>,
    /// The runs, solo runs included.
    pub runs: Vec<Run>,
    /// The agents of every run.
    pub agents: Vec<Agent>,
    /// The arrivals of bytes at the agents.
    pub chunks: Vec<Chunk>,
    /// The lag of the event loops.
    pub lag: Vec<LagSample>,
    /// Runs whose chunks and lag were reduced when they were read. Their rows are in no other field.
    pub digests: Vec<RunDigest>,
    /// The readings of the GPUs.
    pub gpu: Vec<GpuSample>,
    /// Whether a simulated Ollama answered.
    pub simulated: bool,
    /// Whether its requests are those of live traffic, which the sidecar recorded.
    pub live: bool,
    /// Remarks about the data for the reader of a report.
    pub notes: Vec<String>,
}

#[cfg(feature = "experiment")]
impl Recording {
    /// Appends the rows of another recording, whose runs get new numbers.
    pub(crate) fn append(&mut self, mut other: Recording) {
        let first = self.runs.iter().map(|run| run.id + 1).max().unwrap_or(0);
        other.runs.iter_mut().for_each(|run| run.id += first);
        other.agents.iter_mut().for_each(|agent| agent.run += first);
        other.chunks.iter_mut().for_each(|chunk| chunk.run += first);
        other.lag.iter_mut().for_each(|sample| sample.run += first);
        other.digests.iter_mut().for_each(|digest| digest.run += first);
        self.simulated |= other.simulated;
        self.live |= other.live;
        self.conditions.append(&mut other.conditions);
        self.loads.append(&mut other.loads);
        self.runs.append(&mut other.runs);
        self.agents.append(&mut other.agents);
        self.chunks.append(&mut other.chunks);
        self.lag.append(&mut other.lag);
        self.digests.append(&mut other.digests);
        self.gpu.append(&mut other.gpu);
        self.notes.append(&mut other.notes);
    }
}

/// A condition: a way in which agents run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Condition {
    /// Its name in the plan.
    pub name: String,
    /// The language of the agents.
    pub language: Language,
    /// The remedies against contention. Empty: none.
    pub remedies: Vec<Remedy>,
    /// The condition that this one is compared with.
    pub baseline: Option<String>,
    /// The name of its series. Conditions of one series differ only in the number of agents.
    pub series: Option<String>,
    /// The name of the measure whose interval stopped the experiment when it was narrow enough. Its intervals are widened,
    /// as such a rule needs.
    pub until: Option<String>,
    /// The recording that it comes from, if an analysis has several. Hypotheses of one recording are one family.
    #[serde(skip)]
    pub recording: u32,
    /// Whether it is a folder of TR117, which has no plan. Its agents in Rust and in Python sent different prompts.
    #[serde(skip)]
    pub without_plan: bool,
}

/// The language of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// tokio and reqwest.
    #[default]
    Rust,
    /// asyncio and httpx.
    Python,
}

/// A remedy against contention.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Another event loop for Python.
    Uvloop,
    /// Another JSON parser for Python.
    Orjson,
    /// Chunks are handled in batches, at this interval in seconds.
    Batch(f64),
    /// The client reads this many bytes at a time.
    ReadBuffer(u64),
    /// Each agent has a process of its own.
    Processes,
    /// The client takes this many tokens per second of each stream.
    Pace(f64),
    /// The same with the token bucket that TR117 prints, which lets twice as many tokens through.
    LeakyPace(f64),
    /// The sidecar delivers this many tokens per second of each stream.
    SidecarPace(f64),
    /// The sidecar holds records for up to this many seconds.
    SidecarCoalesce(f64),
    /// The sidecar merges records.
    SidecarMerge,
}

/// A run: agents that work at the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Its number, unique in the recording.
    pub id: u32,
    /// The name of its condition.
    pub condition: String,
    /// Alone or together.
    pub kind: RunKind,
    /// Whether the run only warms up and does not count.
    pub warm_up: bool,
    /// The time at which it began.
    pub started: f64,
    /// The time from the first agent's start to the last agent's end. `None`: calculated from the times of the
    /// agents.
    pub wall: Option<f64>,
    /// The energy that all GPUs used during the run, in joules. [`Recording::measure_energy`] sets it.
    pub joules: Option<f64>,
    /// How many agents took part. `None`: as many as in the other runs of its condition.
    pub agents: Option<u32>,
    /// The repetition, from 0, in which each condition ran once. `None`: the conditions did not take turns.
    pub repetition: Option<u32>,
}

/// Whether one agent ran, or all agents of a condition, or an open-loop load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// One agent alone, as a baseline.
    Solo,
    /// All agents of the condition.
    #[default]
    Together,
    /// Requests that arrive at their own times.
    Open,
}

/// One agent in one run. Durations are wall times at the client, except those of Ollama.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    /// The run's number.
    pub run: u32,
    /// Its number in the run, from 0.
    pub agent: u32,
    /// Its name in the plan. Agents with the same role do the same work alone and together.
    pub role: String,
    /// The model that it used.
    pub model: String,
    /// The time at which its request was due, in an open-loop load.
    pub scheduled: Option<f64>,
    /// The time at which it sent its request.
    pub started: f64,
    /// The time until its last byte.
    pub duration: f64,
    /// The time until its first record with content.
    pub first_token: Option<f64>,
    /// Ollama's `eval_count`: the output tokens.
    pub tokens: Option<u64>,
    /// Ollama's `eval_duration`.
    pub eval_duration: Option<f64>,
    /// Ollama's `prompt_eval_count`.
    pub prompt_tokens: Option<u64>,
    /// Ollama's `prompt_eval_duration`.
    pub prompt_eval_duration: Option<f64>,
    /// Ollama's `load_duration`.
    pub load_duration: Option<f64>,
    /// Ollama's `total_duration`.
    pub total_duration: Option<f64>,
    /// The CPU time of the agent's process, divided among its agents.
    pub cpu: Option<f64>,
    /// The reason why it failed.
    pub failure: Option<String>,
    /// The part that only the sidecar knows, in a recording of live traffic.
    pub served: Option<Box<Served>>,
}

/// The part of a request of live traffic that only the sidecar knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// The name of its Ollama.
    pub upstream: String,
    /// The label of its route.
    pub route: String,
    /// The time in the queue of the sidecar.
    pub queue: Option<f64>,
    /// The time that it waited in Ollama, which no duration of Ollama includes.
    pub hidden_queue: Option<f64>,
    /// The time in which the client did not read what was there.
    pub client_wait: Option<f64>,
    /// The chunks of its response, those that were not recorded included.
    pub chunks: Option<u64>,
}

/// One arrival of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chunk {
    /// The run's number.
    pub run: u32,
    /// The agent's number in the run.
    pub agent: u32,
    /// The time of the arrival.
    pub at: f64,
    /// The number of bytes.
    pub bytes: u32,
    /// The number of records that ended in it. 0: not counted.
    pub records: u32,
    /// Seconds since the agent's previous chunk. NaN for its first chunk.
    pub gap: f64,
    /// Seconds to parse it. NaN: not measured.
    pub parse: f64,
    /// The streams that decoded at the upstream when it arrived, its own included. 0: not known.
    pub streams: u32,
}

/// One probe of an event loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LagSample {
    /// The run's number.
    pub run: u32,
    /// The process in the run, from 0.
    pub process: u32,
    /// The kind of probe.
    pub probe: Probe,
    /// The time.
    pub at: f64,
    /// The lag of the loop, in seconds.
    pub lag: f64,
}

/// A way to measure the lag of an event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// Wakes at fixed times and measures how late it wakes.
    Schedule,
    /// Measures the duration of `sleep(0)`, as in TR117. It misses everything that blocks the loop between two
    /// probes.
    Yield,
}

/// One reading of a GPU. NaN: the device does not provide the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuSample {
    /// The number of the GPU.
    pub gpu: u32,
    /// The time.
    pub at: f64,
    /// Power draw in watts.
    pub watts: f64,
    /// The share of time in which a kernel ran.
    pub utilization: f64,
    /// Bytes of memory in use.
    pub memory: f64,
    /// Bytes per second received over PCIe.
    pub pcie_received: f64,
    /// Bytes per second sent over PCIe.
    pub pcie_sent: f64,
    /// Joules since the driver was loaded.
    pub energy: f64,
}
