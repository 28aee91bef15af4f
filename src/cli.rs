//! The subcommands, one a file. A new one is a module, a variant of `Command` and an arm of [`Cli::run`].

mod activation;
mod ask;
mod bind;
mod check;
mod completions;
mod config;
mod demo;
mod descriptors;
mod experiment;
mod man;
mod output;
mod probe;
mod reach;
mod reload;
mod report;
mod runtimes;
mod serve;
mod simulate;
mod stderr;
mod stop;
mod systemd;
mod top;

use std::{borrow::Cow, io, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, builder::PossibleValuesParser};
use tokio::signal::unix::Signal;
use tracing::Level;

use crate::config::{Flags, Log, Mistakes};

pub use stderr::Stderr;
pub use stop::Stop;

/// An observability sidecar for Ollama: forward every stream byte for byte and measure every chunk
///
/// Results go to stdout, everything else to stderr. Exit codes: 0: success; 1: a failure while running; 2: a mistake in
/// the arguments or the configuration. If NO_COLOR is set, the output has no colour.
#[derive(Debug, Parser)]
#[command(name = "streamgauge", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The configuration file in TOML, for serve, check, probe and top [default: none]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The format of the log [default: text]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["text", "json"]))]
    log_format: Option<String>,
    /// Log each finished request too; -vv logs everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Simulate(Box<simulate::Simulate>),
    Demo(Box<demo::Demo>),
    Check(check::Check),
    Probe(probe::Probe),
    Top(top::Top),
    Config(config::Config),
    Experiment(Box<experiment::Experiment>),
    Report(report::Report),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// The name of a subcommand that reads no configuration.
    fn without_configuration(&self) -> Option<&'static str> {
        match self {
            Command::Serve(_) | Command::Check(_) | Command::Probe(_) | Command::Top(_) => None,
            Command::Config(_) => Some("config"),
            Command::Simulate(_) => Some("simulate"),
            Command::Demo(_) => Some("demo"),
            Command::Experiment(_) => Some("experiment"),
            Command::Report(_) => Some("report"),
            Command::Completions(_) => Some("completions"),
            Command::Man(_) => Some("man"),
        }
    }
}

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

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Mistakes in the configuration, or what failed while running.
    pub fn run(self, process: Process) -> Result<(), CommandFailure> {
        if let (Some(_), Some(name)) = (&self.global.config, self.command.without_configuration()) {
            let what = format!("`{name}` reads no configuration: leave --config out");
            return Err(CommandFailure::Usage(what.into()));
        }
        match self.command {
            Command::Serve(serve) => serve.run(&self.global, process),
            Command::Simulate(simulate) => simulate.run(&self.global, process),
            Command::Demo(demo) => demo.run(&self.global, process),
            Command::Check(check) => check.run(&self.global),
            Command::Probe(probe) => probe.run(&self.global),
            Command::Top(top) => top.run(&self.global, process),
            Command::Config(config) => config.run(),
            Command::Experiment(experiment) => experiment.run(&self.global, process),
            Command::Report(report) => report.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    }
}

impl Global {
    /// What these flags say about the configuration.
    fn flags(&self) -> Flags {
        let mut settings = Vec::new();
        settings.extend(self.log_format.clone().map(|format| ("log.format", format)));
        settings.extend(self.level().map(|level| ("log.level", level.to_owned())));
        Flags { file: self.config.clone(), upstreams: Vec::new(), settings }
    }

    /// The log of a subcommand that reads no configuration.
    fn log(&self) -> Log {
        crate::config::log(&self.flags())
    }

    fn level(&self) -> Option<&'static str> {
        match (self.quiet, self.verbose) {
            (true, _) => Some("warn"),
            (false, 0) => None,
            (false, 1) => Some("debug"),
            (false, _) => Some("trace"),
        }
    }
}
