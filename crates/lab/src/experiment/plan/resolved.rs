//! A resolved plan.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{condition::ConditionPlan, role::Role, span::Span};

/// An experiment, resolved: every default is filled in, every `counts` is expanded, and every name exists.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The name.
    pub name: String,
    /// The random seed, which decides the order of the runs.
    pub(crate) seed: u64,
    /// The runs of every condition, and of every agent alone.
    pub(crate) repetitions: u32,
    /// The runs of every condition that come first and do not count.
    pub(crate) warm_up: u32,
    /// An agent that takes longer than this has failed.
    pub(crate) timeout: Span,
    /// The pause between two runs.
    pub(crate) pause: Span,
    /// Whether the recording contains prompts and answers.
    pub(crate) keep_text: bool,
    /// Tokens per second of a stream, used only for the expected time.
    pub expected_rate: f64,
    /// The Ollamas, by name.
    pub(crate) upstreams: BTreeMap<String, String>,
    /// The agents. Their names are unique.
    #[serde(rename = "agent")]
    pub(crate) roles: Vec<Role>,
    /// The conditions under which they run.
    #[serde(rename = "condition")]
    pub conditions: Vec<ConditionPlan>,
}
