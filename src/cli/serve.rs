//! `serve`: the sidecar, on two runtimes, until a signal.

use anyhow::Context;
use clap::Args;
use tokio::runtime::Handle;

use super::{Failure, Global, Process, Stop, bind, runtimes};
use crate::{
    agent::{self, Agent},
    config,
};

/// Serves: forwards to Ollama and measures
///
/// SIGTERM and SIGINT let the running streams end, for proxy.drain_timeout at most; a second one stops at once,
/// with exit code 1.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// An Ollama; again for more. Without names they are upstream0, upstream1, …
    #[arg(long, value_name = "[NAME=]URL")]
    upstream: Vec<String>,
    /// Where clients connect [default: 127.0.0.1:11440]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// Where Prometheus and people connect [default: 127.0.0.1:9464]
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<String>,
}

impl Serve {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), Failure> {
        let mut flags = global.flags();
        flags.upstreams = self.upstream;
        flags.settings.extend(self.listen.map(|listen| ("proxy.listen", listen)));
        flags.settings.extend(self.admin.map(|admin| ("admin.listen", admin)));
        let config = config::load(&flags)?.config;
        (process.log)(&config.log);

        let stop = (process.signals)().context("cannot listen for signals")?;
        let admin = runtimes::Own::admin().context("cannot start the admin runtime")?;
        let workers =
            runtimes::Own::workers(config.workers).context("cannot start the runtimes of clients")?;
        let accept = runtimes::small().context("cannot start the runtime that accepts")?;
        let handles = workers.iter().map(runtimes::Own::handle).collect();
        Ok(accept.block_on(serve(config.agent, handles, admin.handle(), stop))?)
    }
}

async fn serve(config: agent::Config, workers: Vec<Handle>, admin: Handle, stop: Stop) -> anyhow::Result<()> {
    let bound = Agent::builder()
        .config(config)
        .runtimes(workers)
        .admin_runtime(admin)
        .process()
        .bind()
        .await
        .map_err(|error| bind::explain(error, "`proxy.listen` (--listen)", "`admin.listen` (--admin)"))?;
    tracing::info!(proxy = %bound.proxy_addr(), admin = %bound.admin_addr(), "listening");
    stop.bounds(bound.run(stop.drain())).await
}
