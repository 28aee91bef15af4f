//! `check`: validates the configuration and asks each Ollama for its version.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use futures_util::future;

use super::{CommandFailure, Global, ask, output, runtimes, serve::Addressing};
use crate::{config, upstream::UpstreamConfig};

const TIMEOUT: Duration = Duration::from_secs(3);
const ADVICE: &str = "Start Ollama there, or give its address with --upstream URL or in [[upstream]]";

/// Validate the configuration, and ask each Ollama for its version
///
/// It takes the flags of serve, and prints every mistake or the resulting settings. The settings are TOML that can be
/// used as a file, with a comment that says where each was set. Exit codes: 2: the configuration has mistakes; 1: an
/// Ollama does not answer.
#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    addressing: Addressing,
    /// Do not ask the upstreams
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(super) fn run(self, global: &Global) -> Result<(), CommandFailure> {
        let resolved = config::load(&self.addressing.flags(global))?;
        let warnings = resolved.warnings.iter().map(|warning| format!("# warning: {warning}\n"));
        output::print(warnings.collect::<String>() + &resolved.to_toml())?;
        if self.offline {
            return Ok(());
        }
        let runtime = runtimes::small().context("cannot start a runtime")?;
        let (report, failures) = runtime.block_on(ask_all(&resolved.config.sidecar.upstream.upstreams));
        output::print(report)?;
        if failures.is_empty() { Ok(()) } else { Err(anyhow!(failures.join("\nerror: ")).into()) }
    }
}

/// The versions as TOML comments, and the failures.
async fn ask_all(upstreams: &[UpstreamConfig]) -> (String, Vec<String>) {
    let versions = future::join_all(upstreams.iter().map(version)).await;
    let (mut report, mut failures) = (String::new(), Vec::new());
    for (upstream, version) in upstreams.iter().zip(versions) {
        let (name, url) = (&upstream.name, upstream.url.as_str().trim_end_matches('/'));
        match version {
            Ok(version) => report += &format!("\n# {name} at {url} is Ollama {}\n", version.escape_debug()),
            Err(error) => failures.push(format!(
                "upstream \"{name}\" at {url} did not answer as Ollama does: {error:#}. {ADVICE}"
            )),
        }
    }
    (report, failures)
}

async fn version(upstream: &UpstreamConfig) -> anyhow::Result<String> {
    let (status, body) = ask::get(upstream.url.join("/api/version")?, upstream.tls.as_ref(), TIMEOUT).await?;
    ensure!(status.is_success(), "/api/version answered {status}");
    let body: serde_json::Value = serde_json::from_slice(&body).context("/api/version is not JSON")?;
    let version = body.get("version").and_then(serde_json::Value::as_str);
    version.map(str::to_owned).context("/api/version contains no version")
}
