//! What the process does for a subcommand.

use std::io;

use tokio::signal::unix::Signal;
use tracing::Level;

use super::stop::Stop;
use crate::config::Log;

/// What the process does for a subcommand: its log and its signals.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Begins to log.
    pub log: fn(&Log) -> SetLevel,
    /// Begins to hear signals; until then they end the process.
    pub signals: fn() -> io::Result<Stop>,
    /// Begins to hear SIGHUP, in the runtime that it is called in; until then that ends the process too.
    pub hangups: fn() -> io::Result<Signal>,
}

/// Changes the level of the log that was begun.
pub type SetLevel = Box<dyn Fn(Level) + Send>;
