//! What the user writes: flags over environment over file over defaults.
//!
//! [`load`] reads and judges all of it and does nothing else: every mistake is reported at once, each with its
//! place. No other module reads the environment.

mod certificate;
mod clash;
mod difference;
mod entry;
mod field;
mod inline;
mod key;
mod mistake;
mod ollama_host;
mod quantity;
mod resolve;
mod setting;
mod shown;
mod source;
mod suggest;
mod template;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, net::SocketAddr, path::PathBuf, time::Duration};

use crate::sidecar;

pub(crate) use difference::fixed;
pub use mistake::{Mistake, Mistakes, SettingPlace};
pub use resolve::Resolved;
pub use source::no_color;
pub(crate) use source::variables;
pub(crate) use template::template;

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

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The file to read; none: no file.
    pub file: Option<PathBuf>,
    /// `[NAME=]URL` of each upstream; any replaces those of the environment and of the file.
    pub upstreams: Vec<String>,
    /// The values given by flags, by the key they set.
    pub settings: Vec<(&'static str, String)>,
}

/// Reads file and environment, puts the flags over them, judges all.
///
/// # Errors
/// Every mistake found, in the order file, environment, flags.
pub fn load(flags: &Flags) -> Result<Resolved, Mistakes> {
    let (sources, unread) = source::Sources::read(flags);
    resolve::resolve(&sources, unread)
}

/// The log as the flags alone have it, for what reads no file and no environment.
#[must_use]
pub(crate) fn log(flags: &Flags) -> Log {
    let flags = Flags { file: None, ..flags.clone() };
    let sources = source::Sources { flags, ..source::Sources::default() };
    resolve::resolve(&sources, Vec::new()).map(|resolved| resolved.config.log).unwrap_or_default()
}

/// Reads an address of a flag as one of the file is read.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    field::address(text).map_err(|problem| problem.advice)
}

/// `HOST:PORT` with the scheme http, which is what Ollama means by it; any other text as it is.
pub(crate) fn with_scheme(text: &str) -> Cow<'_, str> {
    entry::with_scheme(text)
}

/// Reads a duration of a flag as one of the file is read.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    quantity::parse_duration(text).map_err(|problem| format!("{}: {}", problem.what, problem.advice))
}
