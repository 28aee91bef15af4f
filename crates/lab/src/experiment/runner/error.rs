//! The reasons why an experiment did not finish.

use std::io;

use super::super::{
    process::ProcessError,
    recording::{ReadError, ResumeError},
};

/// After this many runs in a row in which every agent failed, the experiment stops.
pub(super) const IN_VAIN: usize = 3;

/// The reason why an experiment did not finish.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An Ollama does not answer or lacks a model, or Python lacks packages.
    #[error("{}", .0.join("\n"))]
    NotReady(Vec<String>),
    /// A recording cannot be continued.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The runs of a recording that continues cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Agents in a process of their own failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// An HTTP client cannot be created.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    /// A sidecar failed.
    #[error("{0}")]
    Sidecar(String),
    /// The recording cannot be written.
    #[error("cannot write the recording: {0}")]
    Recording(#[from] io::Error),
    /// Every agent fails.
    #[error(
        "every agent of the last {IN_VAIN} runs failed; the last error: {0}. Fix the cause, then continue with --resume"
    )]
    InVain(String),
}
