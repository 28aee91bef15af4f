//! `serve`: the sidecar, on two runtimes, until a signal.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, JoinHandle},
};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::runtime::{self, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::{Failure, Global, Process, Stop};
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
        let admin = AdminRuntime::start().context("cannot start the admin runtime")?;
        let main = main_runtime(config.workers).context("cannot start the main runtime")?;
        let served = main.block_on(serve(config.agent, admin.handle(), stop));
        // What still runs was told to end and did not.
        main.shutdown_background();
        Ok(served?)
    }
}

async fn serve(config: agent::Config, admin: Handle, stop: Stop) -> anyhow::Result<()> {
    let bound = Agent::builder().config(config).admin_runtime(admin).bind().await?;
    tracing::info!(proxy = %bound.proxy_addr(), admin = %bound.admin_addr(), "listening");
    tokio::select! {
        biased;
        () = stop.now() => Err(anyhow!("stopped before the streams ended")),
        () = bound.run(stop.drain()) => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// Serves clients; `workers` 0 is one for each core that may be used.
fn main_runtime(workers: usize) -> io::Result<Runtime> {
    let workers = match workers {
        0 => thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let next = AtomicUsize::new(0);
    runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name_fn(move || format!("main-{}", next.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
}

/// A runtime on a thread of its own, so that a scrape never waits for streams. Dropped, it ends.
struct AdminRuntime {
    handle: Handle,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl AdminRuntime {
    fn start() -> io::Result<AdminRuntime> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone().cancelled_owned();
        let thread =
            thread::Builder::new().name("admin".to_owned()).spawn(move || runtime.block_on(ended))?;
        Ok(AdminRuntime { handle, end, thread: Some(thread) })
    }

    fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for AdminRuntime {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // It panicked: said on stderr by then.
            let _ = thread.join();
        }
    }
}
