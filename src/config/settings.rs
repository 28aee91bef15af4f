//! Everything that can be set.

use crate::sidecar;

/// The settings of the program.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The settings of the sidecar.
    pub sidecar: sidecar::Config,
    /// The number of threads that serve clients; 0: the number of available cores.
    pub workers: usize,
    /// The settings of the log, which is written to stderr.
    pub log: Log,
    /// The file from which the token of the admin address was read.
    pub admin_token_file: Option<String>,
}

/// The settings of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The format of a line.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: tracing::Level,
}

/// The format of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::default(), level: tracing::Level::INFO }
    }
}
