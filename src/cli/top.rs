//! `top`: a live panel of a running sidecar in a terminal.

mod draw;
mod feed;
mod overview;
mod panel;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::{
    io::{IsTerminal, stdout},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use clap::Args;
use reqwest::Url;
use zeroize::Zeroizing;

use super::{CommandFailure, Global, Process, probe, runtimes};
use crate::config;

pub(super) use feed::Feed;
pub(super) use panel::Panel;

/// Show a running sidecar live: streams, models, upstreams, callers, and requests that failed or were slow
///
/// Keys: 1 to 5 or Tab change the table, s changes the column to sort by, r reverses the order, / filters, the arrow
/// keys scroll, p pauses, q quits. The figures are those of the page; prompts and answers are never shown.
#[derive(Args, Debug)]
pub(super) struct Top {
    /// The admin address of the sidecar, as a URL or HOST:PORT [default: admin.listen of the configuration]
    // Not parsed by clap, which would repeat a wrong value, and with it a password.
    url: Option<String>,
    /// The file with the token of the admin address [default: admin.token_file of the configuration]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Top {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        if !stdout().is_terminal() {
            let what =
                "`top` needs a terminal: for a program, read /overview of the admin address, which is JSON";
            return Err(CommandFailure::Usage(what.into()));
        }
        let mut token_file = self.token_file;
        let (url, trust) = match self.url {
            Some(_) if global.config.is_some() => {
                let what = "`top` reads no configuration if a URL is given: remove --config or the URL";
                return Err(CommandFailure::Usage(what.into()));
            }
            Some(url) => probe::by_system(probe::parse(&url)?)?,
            None => {
                let config = config::load_without_further_keys(&global.flags())?.config;
                token_file = token_file.or(config.admin_token_file.map(PathBuf::from));
                probe::by_configuration(&config.sidecar.admin)?
            }
        };
        let token = token_file.map(token).transpose()?;
        let url: Url = url.join("/overview").context("the URL cannot have a path")?;
        let runtime = runtimes::Own::admin().context("cannot start a runtime")?;
        let feed = Feed::start(&runtime.handle(), url, trust.as_ref(), token)?;
        // A signal ends the panel as `q` does, so that the terminal is restored.
        let stop = (process.signals)().context("cannot listen for signals")?;
        Panel::new(feed).run(|| stop.is_raised()).context("cannot use the terminal")?;
        Ok(())
    }
}

pub(super) fn token(path: PathBuf) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(&path).map(Zeroizing::new);
    let text = text.map_err(|error| anyhow!("cannot read the token in {}: {error}", path.display()))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
