//! `check`: is the configuration right, and do the Ollamas answer.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use futures_util::future;
use reqwest::{Client, redirect};

use super::{Failure, Global, output};
use crate::{config, upstream::UpstreamConfig};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Prints every mistake or the resolved settings, and asks each Ollama for its version
///
/// The settings are printed as TOML that can be fed back, with where each was set in a comment; so are the
/// answers. Exit code 2: mistakes; 1: an Ollama does not answer.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Asks no Ollama
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let resolved = config::load(&global.flags())?;
        output::print(resolved.to_toml())?;
        if self.offline {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("cannot start a runtime")?;
        let (report, failures) = runtime.block_on(ask_all(&resolved.config.agent.upstream.upstreams))?;
        output::print(report)?;
        if failures.is_empty() { Ok(()) } else { Err(anyhow!(failures.join("\nerror: ")).into()) }
    }
}

/// The answers as TOML comments, and what went wrong.
async fn ask_all(upstreams: &[UpstreamConfig]) -> anyhow::Result<(String, Vec<String>)> {
    let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()?;
    let answers = future::join_all(upstreams.iter().map(|upstream| ask(&client, upstream))).await;
    let (mut report, mut failures) = (String::from("\n"), Vec::new());
    for (upstream, answer) in upstreams.iter().zip(answers) {
        let UpstreamConfig { name, url, .. } = upstream;
        match answer {
            Ok(version) => report += &format!("# {name} at {url} is Ollama {}\n", version.escape_debug()),
            Err(error) => failures.push(format!("{name} at {url} does not answer as an Ollama: {error:#}")),
        }
    }
    Ok((report, failures))
}

async fn ask(client: &Client, upstream: &UpstreamConfig) -> anyhow::Result<String> {
    let response = client.get(upstream.url.join("/api/version")?).send().await;
    // The URL is in the line already.
    let response = response.map_err(reqwest::Error::without_url)?;
    if !response.status().is_success() {
        bail!("/api/version says {}", response.status());
    }
    let body: serde_json::Value = response.json().await.map_err(reqwest::Error::without_url)?;
    let version = body.get("version").and_then(serde_json::Value::as_str);
    version.map(str::to_owned).context("/api/version names no version")
}
