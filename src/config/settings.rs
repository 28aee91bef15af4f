//! Everything that can be set.

use crate::sidecar;

/// Everything that can be set.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The settings of every stage.
    pub sidecar: sidecar::Config,
    /// Threads that serve clients; 0: as many as cores may be used.
    pub workers: usize,
    /// What is written to stderr.
    pub log: Log,
    /// The file that the admin address' token was read from.
    pub admin_token_file: Option<String>,
}

/// What is written to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least severe that is written.
    pub level: tracing::Level,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::default(), level: tracing::Level::INFO }
    }
}
