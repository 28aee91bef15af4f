//! Runs agents against Ollama under the conditions of a plan, and writes a recording.
//!
//! A [`Plan`] names the agents, their requests and the conditions. [`schedule`] puts the runs into a random order.
//! [`run`] executes them and writes a [`recording`]. [`crate::analysis`] analyses a recording.

pub mod agent;
mod course;
mod gpu;
mod live_traffic;
mod machine;
mod ollama;
pub mod plan;
pub mod process;
mod recorder;
pub mod recording;
pub mod replay;
mod runner;
mod schedule;
mod sidecar;
pub mod tokenizer;
mod watch;

pub use plan::{Plan, PlanError};
pub use runner::{Done, Options, RunError, run};
pub use schedule::{Entry, schedule};
pub use watch::Watch;
