//! `config`: writes a configuration file.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use super::{CommandFailure, output};
use crate::config;

/// Write a configuration file to start from
#[derive(Args, Debug)]
pub(super) struct Config {
    #[command(subcommand)]
    command: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    Init(ConfigInit),
}

/// Write a file with every setting, its meaning, and its default or an example, all commented out
///
/// An existing file stays unchanged, with exit code 1, unless --force is given.
#[derive(Args, Debug)]
struct ConfigInit {
    /// The file to write, or - for stdout
    #[arg(default_value = "streamgauge.toml", value_name = "FILE")]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

impl Config {
    pub(super) fn run(self) -> Result<(), CommandFailure> {
        match self.command {
            ConfigAction::Init(init) => init.run(),
        }
    }
}

impl ConfigInit {
    fn run(self) -> Result<(), CommandFailure> {
        let text = config::template();
        if self.file.as_os_str() == "-" {
            return output::print(text);
        }
        let path = self.file.display();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).create_new(!self.force);
        let mut file = options.open(&self.file).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                anyhow!("{path} exists: choose another file, or add --force to overwrite it")
            }
            _ => anyhow!("cannot write {path}: {error}"),
        })?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {path}"))?;
        output::print(format!(
            "wrote {path}\nEdit it, check it with `streamgauge check --config {path}`, and run `streamgauge serve --config {path}`.\n"
        ))
    }
}
