//! The options of every command.

use std::path::PathBuf;

use clap::{ArgAction, Args, builder::PossibleValuesParser};

use crate::config::{Flags, Log};

/// Flags that every subcommand accepts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// The configuration file in TOML, for serve, check, probe and top [default: none]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The format of the log [default: text]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["text", "json"]))]
    pub(super) log_format: Option<String>,
    /// Log each finished request too; -vv logs everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(super) verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

impl Global {
    /// The configuration that these flags set.
    pub(super) fn flags(&self) -> Flags {
        let mut settings = Vec::new();
        settings.extend(self.log_format.clone().map(|format| ("log.format", format)));
        settings.extend(self.level().map(|level| ("log.level", level.to_owned())));
        Flags { file: self.config.clone(), upstreams: Vec::new(), settings }
    }

    /// The log settings of a subcommand that reads no configuration.
    pub(super) fn log(&self) -> Log {
        crate::config::log(&self.flags())
    }

    pub(super) fn level(&self) -> Option<&'static str> {
        match (self.quiet, self.verbose) {
            (true, _) => Some("warn"),
            (false, 0) => None,
            (false, 1) => Some("debug"),
            (false, _) => Some("trace"),
        }
    }
}
