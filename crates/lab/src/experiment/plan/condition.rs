//! A way in which agents run.

use serde::{Deserialize, Serialize};

use super::Span;
use crate::analysis::{Condition, Language, Remedy};

/// A condition, resolved.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConditionPlan {
    /// Its name.
    pub name: String,
    /// What the agents are written in.
    pub language: Language,
    /// The name of every agent that takes part; one that is there twice runs twice.
    pub team: Vec<String>,
    /// The condition that it is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Conditions of one series differ in the number of agents alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Each agent of it also runs alone, as often as all together.
    pub solo: bool,
    /// Rust agents run in a process of their own, as Python's always do.
    pub own_process: bool,
    /// Each agent has a process of its own.
    pub processes: bool,
    /// Python's event loop is uvloop's.
    pub uvloop: bool,
    /// Python reads JSON with orjson.
    pub orjson: bool,
    /// Chunks are handled together, every so often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Span>,
    /// Bytes that Python's client gathers before it hands them on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_buffer: Option<u32>,
    /// The client takes so many tokens a second of each stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<f64>,
    /// The same by the report's token bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaky_pace: Option<f64>,
    /// Through a sidecar that the experiment starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<SidecarPlan>,
}

/// What the sidecar does to the streams. Nothing set: it measures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SidecarPlan {
    /// Tokens a second of each stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<u32>,
    /// Holds records back for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Span>,
    /// Joins the records that it holds.
    pub merge: bool,
}

impl ConditionPlan {
    /// Whether its agents run in the experiment's own process.
    #[must_use]
    pub fn in_process(&self) -> bool {
        self.language == Language::Rust && !self.own_process && !self.processes
    }

    /// The condition as the analysis knows it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        Condition {
            name: self.name.clone(),
            language: self.language,
            remedies: self.remedies(),
            baseline: self.baseline.clone(),
            series: self.series.clone(),
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

    /// The names in its team, each once, in their first order.
    #[must_use]
    pub fn distinct(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.team {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}
