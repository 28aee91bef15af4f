//! The environment of an experiment: the conditions that must be equal for two recordings to be comparable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analysis::Precision;

/// The version of the format in docs/reference/recording-format.md. Version 2 added `scheduled` to `agents.csv`
/// and `energy` to `gpu_metrics.csv`. Version 3 added live traffic: `route` and three waits to `agents.csv`, `streams` to
/// `chunk_metrics.csv`, and `live` to `environment.json`.
pub(crate) const FORMAT: u32 = 3;

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
    /// The rule that stops the experiment, such as `true efficiency ± 3 %`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The result of each look of that rule, in the order of the repetitions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Precision>,
    /// How live traffic was recorded. `None`: the recording is that of an experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveTraffic>,
    /// The machine of the agents.
    pub machine: Machine,
    /// Its GPUs, if a driver reports them.
    pub gpus: Vec<Gpu>,
    /// The Ollamas, by their name in the plan.
    pub upstreams: BTreeMap<String, Upstream>,
    /// The versions of Python, and of the packages that its agents use.
    pub python: BTreeMap<String, String>,
}

impl Environment {
    /// Returns whether one of the Ollamas is simulated. A simulated Ollama reports a version like `0.33.0+simulated`.
    #[must_use]
    pub(crate) fn simulated(&self) -> bool {
        let versions = self.upstreams.values().filter_map(|upstream| upstream.version.as_deref());
        versions.into_iter().any(|version| version.contains("+simulated"))
    }

    /// Takes the rule that stops the experiment. The looks of another rule are forgotten.
    pub(crate) fn stop_by(&mut self, until: Option<String>) {
        if until.is_some() && until != self.until {
            self.until = until;
            self.looks.clear();
        }
    }

    /// Returns a sentence about the rule that stops the experiment, and about its last look.
    #[must_use]
    pub(crate) fn precision(&self) -> Option<String> {
        let (until, last) = (self.until.as_deref()?, self.looks.last()?);
        Some(last.sentence(until))
    }

    /// Returns a sentence about all looks at the intervals.
    #[must_use]
    pub(crate) fn looked(&self) -> Option<String> {
        let (first, last) = (self.looks.first()?, self.looks.last()?);
        let width = |look: &Precision| {
            look.widest.map_or("not known".to_owned(), |widest| format!("{widest:.1} times the wanted one"))
        };
        Some(match self.looks.len() {
            1 => format!(
                "the experiment looked at the intervals once, after {} repetitions: the widest was {}",
                first.repetitions,
                width(first)
            ),
            several => format!(
                "the experiment looked at the intervals {several} times, after {} to {} repetitions: the widest was {} at \
                 the first look, and {} at the last",
                first.repetitions,
                last.repetitions,
                width(first),
                width(last)
            ),
        })
    }
}

/// How a sidecar recorded the requests of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveTraffic {
    /// The share of the generations that were recorded.
    pub sample_ratio: f64,
    /// Whether `role` is the pseudonym of the caller. If not, it is the name of the model.
    pub callers: bool,
}

/// A part of the experiment that ran without interruption.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Its start, in seconds since the start of the recording.
    pub(crate) timestamp: f64,
    /// The first run that was due.
    pub(crate) first_run: u32,
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The operating system and its version.
    pub(crate) system: String,
    /// The processor's architecture.
    pub(crate) architecture: String,
    /// The processor's name.
    pub(crate) cpu: Option<String>,
    /// The processors that may be used.
    pub(crate) cores: usize,
    /// Installed memory.
    pub(crate) memory_bytes: Option<u64>,
}

/// A GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// The driver's index.
    pub(crate) index: String,
    /// Its product name.
    pub(crate) name: String,
    /// The driver's version.
    pub(crate) driver: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_simulated_if_one_ollama_reports_a_simulated_version() {
        let with = |versions: &[&str]| {
            let upstream =
                |version: &&str| Upstream { version: Some((*version).into()), ..Upstream::default() };
            let upstreams = versions.iter().map(|version| ((*version).into(), upstream(version)));
            Environment { upstreams: upstreams.collect(), ..Environment::default() }.simulated()
        };
        assert!(with(&["0.33.0", "0.34.3+simulated"]));
        assert!(!with(&["0.33.0", "0.34.3"]) && !with(&[]));
    }
}
