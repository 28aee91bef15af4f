//! Agents in a process of their own: start, clock comparison, execution, reports.

mod child;
mod frame;
mod rust;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use child::Child;
pub use child::ProcessError;
pub use rust::serve;

/// The source of the Python agent. It needs httpx and no other package.
pub(crate) const SCRIPT: &str = include_str!("process/agent.py");

/// The program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// This program, as `streamgauge experiment agent`, by its path.
    Rust(PathBuf),
    /// Python with the script above, by its path or name.
    Python(PathBuf),
}
