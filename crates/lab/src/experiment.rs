//! Agents against Ollama under conditions that a plan names, and the recording that they leave.
//!
//! A [`Plan`] says who asks what and how; [`schedule`] puts its runs in a random order; [`run`] carries them out and writes a
//! [`recording`]. What a recording says is [`crate::analysis`]'s.

pub mod agent;
mod course;
mod gpu;
mod machine;
mod ollama;
pub mod plan;
pub mod process;
mod recorder;
pub mod recording;
mod runner;
mod schedule;
mod sidecar;
pub mod tokenizer;
mod watch;

pub use machine::machine;
pub use plan::{Plan, PlanError};
pub use runner::{Done, Options, RunError, run};
pub use schedule::{Entry, schedule};
pub use watch::Watch;
