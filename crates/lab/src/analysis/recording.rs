//! A recording in memory: plain rows, for whoever reads or makes one.
//!
//! The columns are a superset of those of Technical Report 117 (2.2, 2.3 and appendix B), in base units. Times are
//! seconds since the recording began. What was not measured is `None`, or NaN in the rows that come by the million.

use serde::Serialize;

/// All that an experiment wrote down. Rows come in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The ways in which agents ran.
    pub conditions: Vec<Condition>,
    /// Every run, solo baselines among them.
    pub runs: Vec<Run>,
    /// Every agent of every run.
    pub agents: Vec<Agent>,
    /// Every arrival of bytes at an agent.
    pub chunks: Vec<Chunk>,
    /// How late event loops were.
    pub lag: Vec<LagSample>,
    /// The GPU meanwhile.
    pub gpu: Vec<GpuSample>,
}

/// A way in which agents ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Condition {
    /// The plan's name for it.
    pub name: String,
    /// What the agents are written in.
    pub language: Language,
    /// What was done against contention. Empty: nothing.
    pub remedies: Vec<Remedy>,
    /// The condition that this one is held against.
    pub baseline: Option<String>,
    /// Conditions of one series differ in nothing but the number of agents.
    pub series: Option<String>,
}

/// What an agent is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// tokio and reqwest.
    #[default]
    Rust,
    /// asyncio and httpx.
    Python,
}

/// Something done against contention.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Another event loop for Python.
    Uvloop,
    /// Another JSON parser for Python.
    Orjson,
    /// Chunks are handled together every so many seconds.
    Batch(f64),
    /// Bytes the client reads at a time.
    ReadBuffer(u64),
    /// A process for each agent.
    Processes,
    /// The client takes so many tokens a second of each stream.
    Pace(f64),
    /// The same by the token bucket as the report printed it, which lets twice as many through.
    LeakyPace(f64),
    /// The sidecar paces each stream to so many tokens a second.
    SidecarPace(f64),
    /// The sidecar holds records back for up to so many seconds.
    SidecarCoalesce(f64),
    /// The sidecar joins records.
    SidecarMerge,
}

/// Agents at work at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Its number, unique in the recording.
    pub id: u32,
    /// The name of its condition.
    pub condition: String,
    /// Alone or together.
    pub kind: RunKind,
    /// A run that only warms up counts for nothing.
    pub warm_up: bool,
    /// When it began.
    pub started: f64,
    /// From the first agent's start to the last one's end. `None`: as the agents' own times have it.
    pub wall: Option<f64>,
}

/// Whether a run's agents have the server to themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// One agent, as a baseline.
    Solo,
    /// All agents of the condition.
    #[default]
    Together,
}

/// One agent in one run. Durations are wall time at the client unless they are Ollama's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    /// The run's number.
    pub run: u32,
    /// Its number in the run, from 0.
    pub agent: u32,
    /// The plan's name for it: alone and together, the agents of one role do the same work.
    pub role: String,
    /// The model it asked.
    pub model: String,
    /// When it sent its request.
    pub started: f64,
    /// Until its last byte.
    pub duration: f64,
    /// Until its first record with content.
    pub first_token: Option<f64>,
    /// Ollama's `eval_count`: tokens made.
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
    /// CPU time of the agent's process, shared out if agents share it.
    pub cpu: Option<f64>,
    /// Why it did not come to its end.
    pub failure: Option<String>,
}

/// One arrival of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chunk {
    /// The run's number.
    pub run: u32,
    /// The agent's number in the run.
    pub agent: u32,
    /// When it came.
    pub at: f64,
    /// Its bytes.
    pub bytes: u32,
    /// Records in it; 0 if not counted.
    pub records: u32,
    /// Seconds since the one before it; NaN for an agent's first.
    pub gap: f64,
    /// Seconds to parse it; NaN if not measured.
    pub parse: f64,
}

/// One look at an event loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LagSample {
    /// The run's number.
    pub run: u32,
    /// The process in the run, from 0.
    pub process: u32,
    /// How it was looked at.
    pub probe: Probe,
    /// When.
    pub at: f64,
    /// How late the loop was, in seconds.
    pub lag: f64,
}

/// A way to look at an event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// Wakes at fixed times; how late it wakes.
    Schedule,
    /// The report's: how long `sleep(0)` takes. It misses what blocks the loop between two looks.
    Yield,
}

/// One look at the GPU; NaN is what the device does not tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpuSample {
    /// When.
    pub at: f64,
    /// Power draw in watts.
    pub watts: f64,
    /// Share of the time with a kernel running.
    pub utilization: f64,
    /// Bytes of memory in use.
    pub memory: f64,
    /// Bytes a second received over PCIe.
    pub pcie_received: f64,
    /// Bytes a second sent over PCIe.
    pub pcie_sent: f64,
}
