//! Why a subcommand did not do what it was asked.

use std::borrow::Cow;

use crate::config::Mistakes;

/// Why a subcommand failed, which decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// Mistakes in the configuration. Exit code 2.
    #[error(transparent)]
    Configuration(#[from] Mistakes),
    /// A mistake in the arguments. Exit code 2.
    #[error("error: {0}")]
    Usage(Cow<'static, str>),
    /// What `report --fail-on` looks for. Exit code 3.
    #[error("regression:\n  {0}")]
    Regression(String),
    /// A failure while running. Exit code 1.
    #[error("error: {0:#}")]
    Running(#[from] anyhow::Error),
}
