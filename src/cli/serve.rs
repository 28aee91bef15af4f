//! `serve`: the sidecar, on two runtimes, until a signal.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::{
    Failure, Global, Process, Stop, activation::Sockets, bind, descriptors, reload::Reloader, runtimes,
    systemd,
};
use crate::{
    agent::{Agent, Bound},
    config,
};

/// Serves: forwards to Ollama and measures
///
/// SIGTERM and SIGINT let the running streams end, for proxy.drain_timeout at most; a second one stops at once,
/// with exit code 1. SIGHUP reads the configuration again: keys, access, shaping, certificates
/// and the log's level change.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// An Ollama, as a URL or HOST:PORT; again for more. Without names they are upstream0, upstream1, …
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
        let level = (process.log)(&config.log);
        let mut settings = config.agent.clone();
        let sockets = Sockets::take()?;
        if let Some(passed) = &sockets.admin {
            settings.admin.listen = passed.addr;
        }
        if !settings.admin.listen.ip().is_loopback() && settings.admin.token.is_none() {
            tracing::warn!(
                admin = %settings.admin.listen,
                "anybody who reaches admin.listen reads what runs here: set admin.token_file, or listen on 127.0.0.1"
            );
        }
        settings.proxy.max_connections = descriptors::enough_for(settings.proxy.max_connections);

        let stop = (process.signals)().context("cannot listen for signals")?;
        let admin = runtimes::Own::admin().context("cannot start the admin runtime")?;
        let workers =
            runtimes::Own::workers(config.workers).context("cannot start the runtimes of clients")?;
        let accept = runtimes::small().context("cannot start the runtime that accepts")?;
        let handles: Vec<_> = workers.iter().map(runtimes::Own::handle).collect();
        let drain = config.agent.drain_timeout;
        let builder = sockets
            .give(Agent::builder())
            .config(settings)
            .runtimes(handles.clone())
            .admin_runtime(admin.handle())
            .process();
        Ok(accept.block_on(async {
            let hangups = (process.hangups)().context("cannot listen for SIGHUP")?;
            let bound = builder.bind().await.map_err(|error| {
                bind::explain(error, "`proxy.listen` (--listen)", "`admin.listen` (--admin)")
            })?;
            let status = format!("clients: {}, admin: {}", bound.proxy_addr(), bound.admin_addr());
            let reloader =
                Reloader { flags, begun: config, level, agent: bound.reload(), status: status.clone() };
            systemd::ready(&status);
            tokio::select! {
                ended = serve(bound, stop, drain) => ended,
                () = reloader.listen(hangups) => Ok(()),
                // The runtimes of clients; the one that this runs on answers by running it.
                () = systemd::watchdog(handles) => Ok(()),
            }
        })?)
    }
}

async fn serve(bound: Bound, stop: Stop, drain: Duration) -> anyhow::Result<()> {
    tracing::info!(proxy = %bound.proxy_addr(), admin = %bound.admin_addr(), "listening");
    let asked = stop.drain();
    let stopping = async {
        asked.await;
        systemd::stopping(drain);
    };
    stop.bounds(bound.run(stopping)).await
}
