//! `completions`: for packaging.

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CommandFailure, demo, experiment, output};

/// Print completions for a shell
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<(), CommandFailure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut shown(), "streamgauge", &mut script);
        output::print(script)
    }
}

/// The command line as `--help` shows it. `clap_complete` offers hidden subcommands and flags too.
fn shown() -> Command {
    Cli::command().mut_subcommand("experiment", experiment::shown).mut_subcommand("demo", demo::shown)
}
