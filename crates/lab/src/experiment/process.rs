//! Agents in a process of their own: started, asked for their clock, let go, listened to.

mod child;
mod frame;
mod rust;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use child::{Child, ProcessError, Versions};
pub use rust::serve;

/// The Python agent: text of a program that needs httpx and nothing else.
pub const SCRIPT: &str = include_str!("process/agent.py");

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// This program, as `streamgauge experiment agent`: its path.
    Rust(PathBuf),
    /// Python with our script: its path or name.
    Python(PathBuf),
}
