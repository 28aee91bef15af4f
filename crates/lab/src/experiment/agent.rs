//! An agent: asks once, reads the stream, and tells what it saw.
//!
//! The same [`Job`] goes to agents in this process and, as a line of JSON, to those in a process of their own, Rust's and
//! Python's; all tell the same [`Telling`]s.

mod answer;
pub mod bucket;
mod probe;
mod stream;
mod tape;
#[cfg(test)]
mod tests;
mod work;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::analysis::Probe;

pub use work::work;

/// How often what was seen is handed on: a crash loses no more.
pub(super) const HAND_ON: Duration = Duration::from_millis(250);
/// Between two probes on a schedule.
pub(super) const SCHEDULE: Duration = Duration::from_millis(10);
/// Between two of the report's `sleep(0)`.
pub(super) const YIELD: Duration = Duration::from_millis(100);

/// What the agents of one process are told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The agents.
    pub tasks: Vec<Task>,
    /// Python's loop is uvloop's.
    #[serde(default)]
    pub uvloop: bool,
    /// Python reads JSON with orjson.
    #[serde(default)]
    pub orjson: bool,
    /// Chunks are handled together, every so many seconds.
    #[serde(default)]
    pub batch: Option<f64>,
    /// Bytes that Python's client gathers.
    #[serde(default)]
    pub read_buffer: Option<u32>,
    /// Tokens a second of each stream.
    #[serde(default)]
    pub pace: Option<f64>,
    /// The same by the report's token bucket.
    #[serde(default)]
    pub leaky_pace: Option<f64>,
    /// Tells the text of answers.
    #[serde(default)]
    pub keep_text: bool,
    /// Tells arrivals and lag. Without it endings alone are told: so what recording costs can be measured.
    pub record: bool,
}

/// What one agent is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its number in the run.
    pub agent: u32,
    /// Where it asks.
    pub url: String,
    /// The body of its request.
    pub body: serde_json::Value,
}

/// What an agent or its process tells. Times are by the clock of its process, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// Bytes arrived.
    Arrivals {
        /// At this agent.
        agent: u32,
        /// In their order.
        arrivals: Vec<Arrival>,
    },
    /// The event loop was looked at.
    Lags {
        /// In this way.
        probe: Probe,
        /// When, and how late it was.
        samples: Vec<(f64, f64)>,
    },
    /// An agent has come to its end.
    Ended(Box<Ending>),
    /// All agents of the process have.
    Over {
        /// CPU time of the process meanwhile, in seconds.
        cpu: f64,
    },
}

/// One arrival of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When it was taken.
    pub at: f64,
    /// Its bytes.
    pub bytes: u32,
    /// Records that ended in it.
    pub records: u32,
    /// Seconds to parse them.
    pub parse: f64,
}

/// How an agent's stream went. Durations are in seconds, Ollama's own in nanoseconds as it writes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ending {
    /// Its number in the run.
    pub agent: u32,
    /// When it sent its request.
    pub started: f64,
    /// Until its last byte, or until it failed.
    pub duration: f64,
    /// Until its first record with content.
    pub first_token: Option<f64>,
    /// Ollama's `eval_count`.
    pub eval_count: Option<u64>,
    /// Ollama's `eval_duration`.
    pub eval_duration: Option<u64>,
    /// Ollama's `prompt_eval_count`.
    pub prompt_eval_count: Option<u64>,
    /// Ollama's `prompt_eval_duration`.
    pub prompt_eval_duration: Option<u64>,
    /// Ollama's `load_duration`.
    pub load_duration: Option<u64>,
    /// Ollama's `total_duration`.
    pub total_duration: Option<u64>,
    /// Arrivals of bytes.
    pub chunks: u64,
    /// Bytes.
    pub bytes: u64,
    /// Why it did not come to its end.
    pub failure: Option<String>,
    /// The answer, if it was asked for.
    pub text: Option<String>,
}

/// Seconds since some moment that stays.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    offset: f64,
}

impl Clock {
    /// A clock that shows `offset` seconds now.
    #[must_use]
    pub fn from(offset: f64) -> Clock {
        Clock { zero: Instant::now(), offset }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.offset + self.zero.elapsed().as_secs_f64()
    }
}
