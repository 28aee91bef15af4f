//! A condition: a way in which agents run.

use serde::{Deserialize, Serialize};

use super::{LoadPlan, Span};
use crate::analysis::{Condition, Language, Remedy};

/// A condition, resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConditionPlan {
    /// Its name.
    pub name: String,
    /// The language of the agents.
    pub(crate) language: Language,
    /// The names of the agents that take part. An agent that is listed twice runs twice.
    pub team: Vec<String>,
    /// The condition that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<String>,
    /// The name of its series. Conditions of one series differ only in the number of agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) series: Option<String>,
    /// Whether each of its agents also runs alone, as often as all run together.
    pub(crate) solo: bool,
    /// Whether Rust agents run in a process of their own, as Python agents always do.
    pub(crate) own_process: bool,
    /// Whether each agent has a process of its own.
    pub(crate) processes: bool,
    /// Whether Python uses the event loop of uvloop.
    pub(crate) uvloop: bool,
    /// Whether Python parses JSON with orjson.
    pub(crate) orjson: bool,
    /// The interval at which chunks are handled in batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<Span>,
    /// The bytes that Python's client buffers before it passes them on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_buffer: Option<u32>,
    /// The tokens per second that the client takes of each stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pace: Option<f64>,
    /// The same, with the token bucket of TR117.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leaky_pace: Option<f64>,
    /// The sidecar that the experiment starts between the agents and Ollama.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sidecar: Option<SidecarPlan>,
    /// The load of requests that do not wait for each other. Without it, the agents of the team run once, together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<LoadPlan>,
}

/// How the sidecar shapes the streams. If nothing is set, it only measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SidecarPlan {
    /// Tokens per second of each stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pace: Option<u32>,
    /// How long records are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) coalesce: Option<Span>,
    /// Whether held records are merged.
    pub(crate) merge: bool,
}

impl ConditionPlan {
    /// Whether its agents run in the experiment's own process.
    #[must_use]
    pub(crate) fn in_process(&self) -> bool {
        self.language == Language::Rust && !self.own_process && !self.processes
    }

    /// Returns the condition in the form of the analysis.
    #[must_use]
    pub(crate) fn condition(&self) -> Condition {
        Condition {
            name: self.name.clone(),
            language: self.language,
            remedies: self.remedies(),
            baseline: self.baseline.clone(),
            series: self.series.clone(),
            until: None,
            recording: 0,
            without_plan: false,
        }
    }

    fn remedies(&self) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        remedies.extend(self.uvloop.then_some(Remedy::Uvloop));
        remedies.extend(self.orjson.then_some(Remedy::Orjson));
        remedies.extend(self.batch.map(|span| Remedy::Batch(span.0.as_secs_f64())));
        remedies.extend(self.read_buffer.map(|bytes| Remedy::ReadBuffer(bytes.into())));
        remedies.extend(self.processes.then_some(Remedy::Processes));
        remedies.extend(self.pace.map(Remedy::Pace));
        remedies.extend(self.leaky_pace.map(Remedy::LeakyPace));
        if let Some(sidecar) = &self.sidecar {
            remedies.extend(sidecar.pace.map(|pace| Remedy::SidecarPace(pace.into())));
            remedies.extend(sidecar.coalesce.map(|span| Remedy::SidecarCoalesce(span.0.as_secs_f64())));
            remedies.extend(sidecar.merge.then_some(Remedy::SidecarMerge));
        }
        remedies
    }

    /// Returns the names in its team without repetition, in their first order.
    #[must_use]
    pub(crate) fn distinct(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.team {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}
