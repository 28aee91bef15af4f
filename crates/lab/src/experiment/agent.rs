//! An agent sends one request, reads the stream, and reports its observations.
//!
//! Agents in this process get the same [`Job`] as agents in a process of their own, in Rust or Python, which get it
//! as a line of JSON. All of them report the same [`Telling`]s.

mod answer;
mod bucket;
mod load;
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

pub use load::Open;
pub use work::work;

/// The interval at which observations are passed on. A crash loses at most this time.
pub(super) const HAND_ON: Duration = Duration::from_millis(250);
/// The interval of the probe on a schedule.
pub(super) const SCHEDULE: Duration = Duration::from_millis(10);
/// The interval of TR117's probe with `sleep(0)`.
pub(super) const YIELD: Duration = Duration::from_millis(100);

/// The job of the agents in one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The agents.
    pub tasks: Vec<Task>,
    /// Whether Python uses the event loop of uvloop.
    #[serde(default)]
    pub uvloop: bool,
    /// Whether Python parses JSON with orjson.
    #[serde(default)]
    pub orjson: bool,
    /// The interval in seconds at which chunks are handled in batches.
    #[serde(default)]
    pub batch: Option<f64>,
    /// The number of bytes that Python's client buffers.
    #[serde(default)]
    pub read_buffer: Option<u32>,
    /// Tokens per second of each stream.
    #[serde(default)]
    pub pace: Option<f64>,
    /// Tokens per second of each stream, with the token bucket of TR117.
    #[serde(default)]
    pub leaky_pace: Option<f64>,
    /// The limits of an open-loop load. Without it, all agents start at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// Whether the text of answers is reported.
    #[serde(default)]
    pub keep_text: bool,
    /// Whether arrivals and lag are reported. Without it only the ends are reported, which is how the cost of
    /// recording is measured.
    pub record: bool,
}

/// The task of one agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its number in the run.
    pub agent: u32,
    /// The time at which its request is due in an open-loop load, in seconds since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<f64>,
    /// The URL of its request.
    pub url: String,
    /// The body of its request.
    pub body: serde_json::Value,
}

/// A report of an agent or its process. Times are seconds by the clock of its process.
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// Bytes arrived.
    Arrivals {
        /// The agent.
        agent: u32,
        /// The arrivals, in order.
        arrivals: Vec<Arrival>,
    },
    /// The lag of the event loop was measured.
    Lags {
        /// The kind of probe.
        probe: Probe,
        /// The time of each probe, and the lag.
        samples: Vec<(f64, f64)>,
    },
    /// An agent has ended.
    Ended(Box<Ending>),
    /// All agents of the process have ended.
    Over {
        /// CPU time of the process during the job, in seconds.
        cpu: f64,
    },
}

/// One arrival of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// The time at which it was read.
    pub(crate) at: f64,
    /// The number of bytes.
    pub(crate) bytes: u32,
    /// The number of records that ended in it.
    pub(crate) records: u32,
    /// Seconds to parse them.
    pub(crate) parse: f64,
}

/// The result of an agent. Durations are in seconds, and those of Ollama in nanoseconds, as it sends them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ending {
    /// Its number in the run.
    pub(crate) agent: u32,
    /// The time at which its request was due, in an open-loop load.
    pub(crate) scheduled: Option<f64>,
    /// The time at which it sent its request.
    pub(crate) started: f64,
    /// The time until its last byte, or until it failed.
    pub(crate) duration: f64,
    /// The time until its first record with content.
    pub(crate) first_token: Option<f64>,
    /// Ollama's `eval_count`.
    pub(crate) eval_count: Option<u64>,
    /// Ollama's `eval_duration`.
    pub(crate) eval_duration: Option<u64>,
    /// Ollama's `prompt_eval_count`.
    pub(crate) prompt_eval_count: Option<u64>,
    /// Ollama's `prompt_eval_duration`.
    pub(crate) prompt_eval_duration: Option<u64>,
    /// Ollama's `load_duration`.
    pub(crate) load_duration: Option<u64>,
    /// Ollama's `total_duration`.
    pub(crate) total_duration: Option<u64>,
    /// The number of arrivals.
    pub chunks: u64,
    /// The number of bytes.
    pub(crate) bytes: u64,
    /// The reason why it failed.
    pub(crate) failure: Option<String>,
    /// The answer, if it was requested.
    pub(crate) text: Option<String>,
}

/// Seconds since a fixed moment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    offset: f64,
}

impl Clock {
    /// Creates a clock that shows `offset` seconds now.
    #[must_use]
    pub fn from(offset: f64) -> Clock {
        Clock { zero: Instant::now(), offset }
    }

    /// Returns the seconds that it shows.
    #[must_use]
    pub(crate) fn now(&self) -> f64 {
        self.offset + self.zero.elapsed().as_secs_f64()
    }
}
