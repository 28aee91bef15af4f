//! The subcommands, one per file. To add one, add a module, a variant of `Command` and an arm of [`Cli::run`].

mod activation;
mod ask;
mod bind;
mod check;
mod completions;
mod config;
mod demo;
mod descriptors;
mod experiment;
mod failure;
mod global;
mod keys_file;
mod man;
mod output;
mod probe;
mod process;
mod reach;
mod record;
mod recorded_rows;
mod recording_folder;
mod reload;
mod report;
mod runtimes;
mod serve;
mod simulate;
mod stderr;
mod stop;
mod systemd;
mod top;

use global::Global;

use clap::{CommandFactory, Parser, Subcommand};

pub use failure::CommandFailure;
pub use process::{Process, SetLevel};
pub use stderr::Stderr;
pub use stop::Stop;

/// An observability sidecar for Ollama: forward every stream byte for byte and measure every chunk
///
/// Results go to stdout, everything else to stderr. Exit codes: 0: success; 1: a failure while running; 2: a mistake in
/// the arguments or the configuration; 3: a regression that `report --fail-on` found. If NO_COLOR is set, the output has no colour.
#[derive(Debug, Parser)]
#[command(name = "streamgauge", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Simulate(Box<simulate::Simulate>),
    Demo(Box<demo::Demo>),
    Check(check::Check),
    Probe(probe::Probe),
    Top(top::Top),
    Record(record::Record),
    Config(config::Config),
    Experiment(Box<experiment::Experiment>),
    Report(report::Report),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// The name of the subcommand if it reads no configuration.
    fn without_configuration(&self) -> Option<&'static str> {
        match self {
            Command::Serve(_)
            | Command::Check(_)
            | Command::Probe(_)
            | Command::Top(_)
            | Command::Record(_) => None,
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

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Mistakes in the arguments or the configuration, or a failure while running.
    pub fn run(self, process: Process) -> Result<(), CommandFailure> {
        if let (Some(_), Some(name)) = (&self.global.config, self.command.without_configuration()) {
            let what = format!("`{name}` reads no configuration: remove --config");
            return Err(CommandFailure::Usage(what.into()));
        }
        match self.command {
            Command::Serve(serve) => serve.run(&self.global, process),
            Command::Simulate(simulate) => simulate.run(&self.global, process),
            Command::Demo(demo) => demo.run(&self.global, process),
            Command::Check(check) => check.run(&self.global),
            Command::Probe(probe) => probe.run(&self.global),
            Command::Top(top) => top.run(&self.global, process),
            Command::Record(record) => record.run(&self.global, process),
            Command::Config(config) => config.run(),
            Command::Experiment(experiment) => experiment.run(&self.global, process),
            Command::Report(report) => report.run(),
            Command::Completions(completions) => completions.run(Cli::command()),
            Command::Man(man) => man.run(Cli::command()),
        }
    }
}
