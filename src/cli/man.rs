//! `man`: writes manual pages, for packages.

use std::{fs, io, path::PathBuf};

use anyhow::Context;
use clap::{Args, Command};

use super::{CommandFailure, output};

/// Print the manual pages in roff, or write each of them to a file
#[derive(Args, Debug)]
pub(super) struct Man {
    /// The folder to write the pages to, one file each, such as streamgauge-serve.1 [default: stdout]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Man {
    /// Prints or writes the pages of `command`, the whole command line.
    pub(super) fn run(self, command: Command) -> Result<(), CommandFailure> {
        // `help` would repeat the other pages. A page would refer to a page of `help` that does not exist.
        let mut command = command.disable_help_subcommand(true);
        if let Some(folder) = self.output {
            let written =
                fs::create_dir_all(&folder).and_then(|()| clap_mangen::generate_to(command, &folder));
            return Ok(written.with_context(|| format!("cannot write to {}", folder.display()))?);
        }
        command.build();
        let mut pages = Vec::new();
        render(&command, &mut pages).context("cannot write the manual pages")?;
        output::print(pages)
    }
}

/// Renders the page of a command, then the pages of its subcommands.
fn render(command: &Command, pages: &mut Vec<u8>) -> io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(pages)?;
    let mut shown = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    shown.try_for_each(|subcommand| render(subcommand, pages))
}
