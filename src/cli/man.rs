//! `man`: for packaging.

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::{Cli, Failure, output};

/// Prints the manual page, in roff; the subcommands follow each other
#[derive(Args, Debug)]
pub(super) struct Man {}

impl Man {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut command = Cli::command();
        command.build();
        let mut page = Vec::new();
        render(&command, &mut page)?;
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            render(subcommand, &mut page)?;
        }
        output::print(page)
    }
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page).context("cannot write the manual page")
}
