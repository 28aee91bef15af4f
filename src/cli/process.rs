//! The services of the process for a subcommand.

use std::io;

use tokio::signal::unix::Signal;
use tracing::Level;

use super::stop::Stop;
use crate::config::Log;

/// How `main` sets up the process for a subcommand: the log and the signals.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Starts the log.
    pub log: fn(&Log) -> SetLevel,
    /// Starts to listen for SIGTERM and SIGINT. Before that, they end the process.
    pub signals: fn() -> io::Result<Stop>,
    /// Starts to listen for SIGHUP in the runtime that calls it. Before that, SIGHUP ends the process.
    pub hangups: fn() -> io::Result<Signal>,
}

/// Changes the level of the log while the process runs.
pub type SetLevel = Box<dyn Fn(Level) + Send>;
