//! Where an experiment ran: what has to be the same for two recordings to be alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `environment.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The version of this layout.
    pub format: u32,
    /// The version of the program.
    pub streamgauge: String,
    /// The clock's zero, in seconds since the Unix epoch: timestamps count from it.
    pub began_unix_s: f64,
    /// When it was begun, and when it went on.
    pub sessions: Vec<Session>,
    /// The machine of the agents.
    pub machine: Machine,
    /// Its GPUs, if its driver tells.
    pub gpus: Vec<Gpu>,
    /// Ollamas by their name in the plan.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Versions of Python and of the packages that its agents use.
    pub python: BTreeMap<String, String>,
}

/// A stretch in which it ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// When it began, in seconds since the recording began.
    pub timestamp: f64,
    /// The first run that was due.
    pub first_run: u32,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The operating system and its version.
    pub system: String,
    /// The processor's architecture.
    pub architecture: String,
    /// The processor's name.
    pub cpu: Option<String>,
    /// Processors that may be used.
    pub cores: usize,
    /// Installed memory.
    pub memory_bytes: Option<u64>,
}

/// A GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// The driver's index.
    pub index: String,
    /// Its product name.
    pub name: String,
    /// The driver's version.
    pub driver: String,
}

/// An Ollama.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Where it is, without a password.
    pub url: String,
    /// What `/api/version` says.
    pub version: Option<String>,
    /// Digests of the models that agents use, by `/api/tags`.
    pub models: BTreeMap<String, String>,
}
