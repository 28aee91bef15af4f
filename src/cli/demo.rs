//! `demo`: a simulated Ollama, the sidecar in front of it, clients, and the live panel.

mod clients;
mod interval;
mod kind;
mod reading;
mod sidecar;
mod summary;

use std::{
    convert::Infallible,
    io::{self, IsTerminal, stdin, stdout},
    net::SocketAddr,
    thread,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Command, value_parser};
use prometheus::Registry;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::{
    CommandFailure, Global, Process, Stop, output,
    reach::reachable,
    runtimes,
    top::{Feed, Panel},
};
use crate::{
    config, simulate,
    simulate::{Config, Simulator},
};
use clients::Clients;
use reading::DemoReading;
use sidecar::AskedSidecar;

/// The interval of the summary lines.
const EVERY: Duration = Duration::from_secs(1);

/// Run a simulated Ollama, the sidecar and clients in one process, and show them live
///
/// It needs no other program and reads no configuration. Some clients disconnect or meet faults on purpose, so that
/// every outcome occurs. In a terminal it shows the panel of `top`, and q ends it. Ctrl-C lets running streams end and
/// prints a summary. A second Ctrl-C stops at once, with exit code 1.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// The number of clients
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// The former name of --clients.
    #[arg(long, hide = true)]
    agents: Option<String>,
    /// How long the demo runs [default: until Ctrl-C]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    duration: Option<Duration>,
    /// The address for clients [default: 127.0.0.1:11440, or a free port if it is taken]
    #[arg(long, value_name = "IP:PORT", value_parser = config::address)]
    listen: Option<SocketAddr>,
    /// The address for the page, the metrics and the probes [default: 127.0.0.1:9464, or a free port if it is taken]
    #[arg(long, value_name = "IP:PORT", value_parser = config::address)]
    admin: Option<SocketAddr>,
    /// Add a fake GPU, labelled as fake everywhere, as busy as the simulated Ollama
    #[arg(long)]
    fake_gpu: bool,
}

/// The command without its hidden flags.
pub(super) fn shown(whole: Command) -> Command {
    let flags = whole.get_arguments().filter(|flag| !flag.is_hide_set()).cloned();
    Command::new("demo").about(whole.get_about().cloned().unwrap_or_default()).args(flags)
}

impl Demo {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), CommandFailure> {
        if self.agents.is_some() {
            return Err(CommandFailure::Usage("`--agents` is now `--clients`: write --clients N".into()));
        }
        let mut log = global.log();
        let scrolls = global.verbose > 0;
        if !scrolls {
            // The summary shows what happens, and a log line would break the panel.
            log.level = log.level.min(Level::ERROR);
        }
        let _ = (process.log)(&log);

        let stop = (process.signals)().context("cannot listen for signals")?;
        let admin = runtimes::Own::admin().context("cannot start the admin runtime")?;
        let main = runtimes::main().context("cannot start the main runtime")?;
        // Log lines would break a panel.
        let has_panel = !scrolls && stdin().is_terminal() && stdout().is_terminal();
        let shown = main.block_on(self.show(admin.handle(), stop, has_panel));
        main.shutdown_background();
        shown
    }

    async fn show(self, runtime: Handle, stop: Stop, has_panel: bool) -> Result<(), CommandFailure> {
        let simulator =
            Simulator::bind(ollama(self.clients)).context("cannot listen for the simulated Ollama")?;
        let ollama = simulator.addr();
        let gpu = self.fake_gpu.then(|| (simulator.truth(), slots_of_all_models(self.clients) as f64));
        let asked = AskedSidecar { listen: self.listen, admin: self.admin, gpu };
        let bound = sidecar::bind(ollama, asked, runtime.clone()).await?;
        let (proxy, admin) = (reachable(bound.proxy_addr()), reachable(bound.admin_addr()));
        output::print(summary::opening(self.clients, has_panel, self.fake_gpu, ollama, proxy, admin))?;

        let registry = bound.registry().clone();
        let first = DemoReading::take(&registry);
        let ending = CancellationToken::new();
        // The simulator ends when this is dropped: after the sidecar, whose streams come from it.
        let mut beside = JoinSet::new();
        beside.spawn(simulator.run(std::future::pending()));
        let clients = Clients::start(self.clients, proxy, &ending)?;
        let panel = has_panel.then(|| show_panel(&runtime, proxy, admin, ending.clone())).transpose()?;

        let over = async {
            let elapsed = async {
                match self.duration {
                    Some(duration) => sleep(duration).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { () = stop.drain() => {}, () = elapsed => {}, () = ending.cancelled() => {} }
            ending.cancel();
        };
        let served = async {
            tokio::join!(bound.run(over), clients.end());
        };
        let watched = async {
            match &panel {
                Some(_) => std::future::pending().await,
                None => watch(&registry, &first, &ending).await,
            }
        };
        let ended = tokio::select! {
            served = stop.bounds(served) => served,
            failed = watched => match failed.context("cannot write to stdout")? {},
        };
        ending.cancel();
        if let Some(panel) = panel {
            // A panic of the panel has been logged already.
            panel.join().unwrap_or(Ok(())).context("cannot use the terminal")?;
        }
        ended?;
        output::print(summary::closing(self.clients, &DemoReading::take(&registry).since(&first)))
    }
}

/// Runs the panel of `top` on its own thread until the demo ends. `q` ends the demo.
fn show_panel(
    runtime: &Handle,
    proxy: SocketAddr,
    admin: SocketAddr,
    ending: CancellationToken,
) -> anyhow::Result<thread::JoinHandle<io::Result<()>>> {
    let url =
        format!("http://{admin}/overview").parse().context("the admin address cannot be written as a URL")?;
    let note = format!("Demo: failures are intended. Clients connect to http://{proxy}");
    let panel = Panel::new(Feed::start(runtime, url, None, None)?).note(note);
    let show = move || {
        let ran = panel.run(|| ending.is_cancelled());
        ending.cancel();
        ran
    };
    thread::Builder::new().name("panel".to_owned()).spawn(show).context("cannot start the panel")
}

/// Prints a line each second and ends only with an error. If stdout is closed, the demo ends.
async fn watch(
    registry: &Registry,
    first: &DemoReading,
    ending: &CancellationToken,
) -> io::Result<Infallible> {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = first.clone();
    loop {
        ticks.tick().await;
        let now = DemoReading::take(registry);
        match output::write(summary::line(&now.since(&last), &now.since(first))) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ending.cancel();
                return std::future::pending().await;
            }
            shown => shown?,
        }
        last = now;
    }
}

/// Models load fast, so that a short demo shows something. There are fewer slots than clients, so that some
/// requests wait.
fn ollama(clients: u16) -> Config {
    Config {
        models: clients::MODELS.map(str::to_owned).into(),
        load_time: Duration::from_millis(300),
        rate: 60.0,
        // The slots of each of two models.
        parallel: slots(clients),
        ..simulate::Config::default()
    }
}

fn slots(clients: u16) -> usize {
    usize::from(clients / 3).max(2)
}

/// The number of streams that can decode at once.
fn slots_of_all_models(clients: u16) -> usize {
    slots(clients) * clients::MODELS.len()
}
