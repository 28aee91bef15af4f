//! The environment of an experiment: the conditions that must be equal for two recordings to be comparable.

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
    /// The zero of the clock, in seconds since the Unix epoch. Timestamps count from it.
    pub began_unix_s: f64,
    /// The times at which it was started and resumed.
    pub sessions: Vec<Session>,
    /// The machine of the agents.
    pub machine: Machine,
    /// Its GPUs, if a driver reports them.
    pub gpus: Vec<Gpu>,
    /// The Ollamas, by their name in the plan.
    pub upstreams: BTreeMap<String, Upstream>,
    /// The versions of Python, and of the packages that its agents use.
    pub python: BTreeMap<String, String>,
}

/// A part of the experiment that ran without interruption.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Its start, in seconds since the start of the recording.
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
    /// The processors that may be used.
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
    /// The URL, without a password.
    pub url: String,
    /// The version from `/api/version`.
    pub version: Option<String>,
    /// The digests of the models that agents use, from `/api/tags`.
    pub models: BTreeMap<String, String>,
}
