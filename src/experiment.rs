//! Agents against Ollama under conditions that a plan names, and the recording that they leave.
//!
//! A [`Plan`] says who asks what and how; [`schedule`] puts its runs in a random order.

pub mod agent;
pub mod plan;
pub mod recording;
mod schedule;

pub use plan::{Plan, PlanError};
pub use schedule::{Entry, schedule};
