//! Why a subcommand did not do what it was asked.

use std::borrow::Cow;

use crate::config::Mistakes;

/// Why a subcommand did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// Exit code 2.
    #[error(transparent)]
    Configuration(#[from] Mistakes),
    /// Exit code 2.
    #[error("error: {0}")]
    Usage(Cow<'static, str>),
    /// Exit code 1.
    #[error("error: {0:#}")]
    Running(#[from] anyhow::Error),
}
