//! `demo`: an Ollama made of nothing, the sidecar before it, clients, and what the sidecar says of them.

mod agents;
mod interval;
mod kind;
mod reading;
mod screen;
mod sidecar;
mod summary;

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::{Args, value_parser};
use prometheus::Registry;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::{Failure, Global, Process, Stop, output, reach::reachable, runtimes};
use crate::{
    config, simulate,
    simulate::{Config, Simulator},
};
use agents::Agents;
use reading::Reading;
use screen::Screen;
use sidecar::Asked;

/// How often the summary is renewed.
const EVERY: Duration = Duration::from_secs(1);

/// Everything in one process: a simulated Ollama, the sidecar, and clients; a live summary
///
/// Nothing needs to be installed, and no configuration is read. Some clients hang up in mid-stream or meet faults, so
/// that every outcome is seen. Ctrl-C lets the running streams end and prints a summary; a second one stops at once,
/// with exit code 1.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Clients at work
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = value_parser!(u16).range(1..=1000))]
    agents: u16,
    /// Ends after this long [default: it goes on until Ctrl-C]
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    duration: Option<Duration>,
    /// Where clients connect [default: 127.0.0.1:11440, or a free port if it is taken]
    #[arg(long, value_name = "IP:PORT", value_parser = config::address)]
    listen: Option<SocketAddr>,
    /// Where Prometheus and people connect [default: 127.0.0.1:9464, or a free port if it is taken]
    #[arg(long, value_name = "IP:PORT", value_parser = config::address)]
    admin: Option<SocketAddr>,
    /// Shows a GPU made of nothing, labelled as fake everywhere, as busy as the simulated Ollama is
    #[arg(long)]
    fake_gpu: bool,
}

impl Demo {
    pub(super) fn run(self, global: &Global, process: Process) -> Result<(), Failure> {
        let mut log = global.log();
        let scrolls = global.verbose > 0;
        if !scrolls {
            // The summary says what goes on.
            log.level = log.level.min(Level::WARN);
        }
        let _ = (process.log)(&log);

        let stop = (process.signals)().context("cannot listen for signals")?;
        let admin = runtimes::Own::admin().context("cannot start the admin runtime")?;
        let main = runtimes::main().context("cannot start the main runtime")?;
        // Lines of a log would go through a picture that is redrawn.
        let screen = Screen::new(scrolls);
        let shown = main.block_on(self.show(admin.handle(), stop, screen));
        main.shutdown_background();
        shown
    }

    async fn show(self, admin: Handle, stop: Stop, mut screen: Screen) -> Result<(), Failure> {
        let simulator =
            Simulator::bind(ollama(self.agents)).context("cannot listen for the simulated Ollama")?;
        let ollama = simulator.addr();
        let gpu = self.fake_gpu.then(|| (simulator.truth(), places(self.agents) as f64));
        let asked = Asked { listen: self.listen, admin: self.admin, gpu };
        let bound = sidecar::bind(ollama, asked, admin).await?;
        let (proxy, admin) = (reachable(bound.proxy_addr()), reachable(bound.admin_addr()));
        output::print(summary::opening(self.agents, self.fake_gpu, ollama, proxy, admin))?;

        let registry = bound.registry().clone();
        let first = Reading::take(&registry);
        let ending = CancellationToken::new();
        // Dropped, it ends: after the sidecar, whose streams come from it.
        let mut beside = JoinSet::new();
        beside.spawn(simulator.run(std::future::pending()));
        let agents = Agents::start(self.agents, proxy, &ending)?;

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
            tokio::join!(bound.run(over), agents.end());
        };
        let watched = watch(&registry, &first, &mut screen, &ending);
        tokio::select! {
            served = stop.bounds(served) => served?,
            failed = watched => match failed.context("cannot write to stdout")? {},
        }
        screen.close().context("cannot write to stdout")?;
        output::print(summary::closing(self.agents, &Reading::take(&registry).since(&first)))
    }
}

/// Shows what happens, for as long as it is polled. A reader that has gone ends the demo.
async fn watch(
    registry: &Registry,
    first: &Reading,
    screen: &mut Screen,
    ending: &CancellationToken,
) -> io::Result<Infallible> {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = first.clone();
    loop {
        ticks.tick().await;
        let now = Reading::take(registry);
        match screen.show(&now.since(&last), &now.since(first)) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ending.cancel();
                return std::future::pending().await;
            }
            shown => shown?,
        }
        last = now;
    }
}

/// Quick to load, so that a few seconds show something; a slot for two agents of three, so that some wait.
fn ollama(agents: u16) -> Config {
    Config {
        models: agents::MODELS.map(str::to_owned).into(),
        load_time: Duration::from_millis(300),
        rate: 60.0,
        // Of each of two models.
        parallel: slots(agents),
        ..simulate::Config::default()
    }
}

fn slots(agents: u16) -> usize {
    usize::from(agents / 3).max(2)
}

/// Streams that can decode at once.
fn places(agents: u16) -> usize {
    slots(agents) * agents::MODELS.len()
}
