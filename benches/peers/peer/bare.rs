//! The relays that measure nothing, which this program runs itself.

use std::{env, path::PathBuf, process::Command};

use super::{Program, Site};
use crate::relay;

pub(super) const HYPER: Program =
    Program { name: relay::HYPER, command: |site| Ok(command(relay::HYPER, site)) };
pub(super) const COPY: Program =
    Program { name: relay::COPY, command: |site| Ok(command(relay::COPY, site)) };

/// This program, if it runs `how`.
pub(super) fn program(how: &Program) -> Option<PathBuf> {
    [HYPER.name, COPY.name].contains(&how.name).then(env::current_exe)?.ok()
}

fn command(how: &str, &Site { program, addr, upstream, workers, .. }: &Site<'_>) -> Command {
    let mut command = Command::new(program);
    command.args([relay::COMMAND, how, &addr.to_string(), &upstream.to_string(), &workers.to_string()]);
    command
}
