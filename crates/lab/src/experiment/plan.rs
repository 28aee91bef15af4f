//! The plan of an experiment: agents, conditions, repetitions and the random seed.
//!
//! ```
//! use streamgauge_lab::experiment::Plan;
//!
//! let plan: Plan = r#"
//! name = "pair"
//! [upstreams]
//! one = "http://127.0.0.1:11434"
//! [[agent]]
//! name = "writer"
//! model = "gemma3:270m"
//! prompt = "Why is the sky blue?"
//! tokens = 64
//! [[condition]]
//! name = "rust"
//! count = 2
//! "#.parse()?;
//! assert_eq!(plan.conditions[0].team, ["writer", "writer"]);
//! # Ok::<(), streamgauge_lab::experiment::PlanError>(())
//! ```

mod bundled;
mod check;
mod condition;
mod draft;
mod load;
mod overrides;
mod redact;
mod resolved;
mod role;
mod span;
#[cfg(test)]
mod tests;

use std::str::FromStr;

pub use bundled::{BUNDLED, Bundled};
pub use condition::ConditionPlan;
pub(crate) use condition::SidecarPlan;
pub use load::LoadPlan;
pub use overrides::Overrides;
pub use resolved::Plan;
pub(crate) use role::{Role, Route};
pub(crate) use span::Span;

mod default {
    use std::time::Duration;

    use super::Span;

    pub(super) fn seed() -> u64 {
        117
    }

    pub(super) fn repetitions() -> u32 {
        5
    }

    pub(super) fn warm_up() -> u32 {
        1
    }

    pub(super) fn timeout() -> Span {
        Span(Duration::from_secs(600))
    }

    pub(super) fn pause() -> Span {
        Span(Duration::from_millis(500))
    }

    pub(super) fn expected_rate() -> f64 {
        50.0
    }
}

/// The reason why a plan cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The text is not a plan. The message has line and column.
    #[error("{0}")]
    Syntax(String),
    /// All mistakes of the plan.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Plan, PlanError> {
        let draft: draft::Draft =
            toml::from_str(text).map_err(|error| PlanError::Syntax(error.to_string()))?;
        let mut mistakes = draft.conflicts();
        let plan = draft.resolve();
        mistakes.extend(check::mistakes(&plan));
        if mistakes.is_empty() { Ok(plan) } else { Err(PlanError::Mistakes(mistakes)) }
    }
}

impl Plan {
    /// Returns the resolved plan as TOML, which is read back as the same plan.
    #[must_use]
    pub(crate) fn to_toml(&self) -> String {
        toml::to_string(self).expect("a plan has no map with keys that are no strings")
    }

    /// Returns the agent with this name.
    #[must_use]
    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Returns the plan for a recording: without the text of prompts, unless the plan keeps text, and without the
    /// part of URLs before an `@`.
    #[must_use]
    pub(crate) fn for_recording(&self) -> Plan {
        redact::redacted(self)
    }
}
