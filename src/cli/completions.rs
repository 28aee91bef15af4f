//! `completions`: prints shell completions, for packages.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{CommandFailure, demo, experiment, output};

/// Print completions for a shell
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the completions of `command`, the whole command line.
    pub(super) fn run(&self, command: Command) -> Result<(), CommandFailure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut shown(command), "streamgauge", &mut script);
        output::print(script)
    }
}

/// The command line without hidden subcommands and flags, which `clap_complete` would offer too.
fn shown(command: Command) -> Command {
    command.mut_subcommand("experiment", experiment::shown).mut_subcommand("demo", demo::shown)
}
