//! The sidecar beside nginx, HAProxy, Envoy, Caddy and LiteLLM, on the same streams of the same simulated Ollama, in one run.
//!
//! `cargo bench --bench peers -- cpu latency flat unary memory abort scrape soak attack` (all of them, if none is named;
//! `--help` says more). Every record of every stream is compared with what the simulator says when it is asked directly, and
//! the words of each chat (`cpu --chat`).
//! `attack` is beside nginx alone, and before an upstream of its own, which keeps what it is sent.
#![allow(clippy::print_stdout, reason = "it reports to whoever runs it")]
#![allow(clippy::disallowed_methods, reason = "it waits for processes, and looks for one on the PATH")]

mod abort;
mod attack;
mod cpu;
mod flat;
mod inside;
mod latency;
mod load;
mod memory;
mod peer;
mod process;
mod reference;
mod scrape;
mod simulator;
mod soak;
mod spread;
mod stream;
mod unary;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use stream::Ask;

/// What is measured, and how hard.
#[derive(Clone, Debug, Parser)]
struct Plan {
    /// What to measure; everything, if nothing is named.
    experiments: Vec<Experiment>,
    /// Repetitions; the peers take turns in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Streams at once of `cpu` and `latency`.
    #[arg(long, default_value_t = 400)]
    streams: usize,
    /// Records a second of each stream of `cpu`.
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// `cpu` is of chats by OpenAI's API.
    #[arg(long)]
    chat: bool,
    /// Seconds that a round of `cpu` and `latency` is measured.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Streams at once of `memory` and `soak`.
    #[arg(long, default_value_t = 1000)]
    many: usize,
    /// Seconds that `soak` takes.
    #[arg(long, default_value_t = 60)]
    soak_seconds: u32,
    /// Clients of `abort` that leave.
    #[arg(long, default_value_t = 1000)]
    aborts: usize,
    /// What it is measured beside; again for more. LiteLLM has to be asked for: it keeps up with no more than some
    /// hundred records a second.
    #[arg(long = "peer", default_values = ["caddy", "envoy", "haproxy", "nginx"])]
    peers: Vec<String>,
    /// The streamgauge that is measured, and that simulates; the one just built, if not given.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_streamgauge"), hide_default_value = true)]
    ours: PathBuf,
    /// Another streamgauge, to compare it with; again for more.
    #[arg(long)]
    against: Vec<PathBuf>,
    /// Given by `cargo bench`, and not by `cargo test`, which is to measure nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Experiment {
    /// CPU time of a chunk.
    Cpu,
    /// Age of a chunk at the client.
    Latency,
    /// Records that nobody waits for.
    Flat,
    /// Requests whose answer is no stream.
    Unary,
    /// Memory of a stream.
    Memory,
    /// From a client's leaving to its generation's end.
    Abort,
    /// A scrape while streams run, and what they notice of it.
    Scrape,
    /// Many streams for long: none harmed, each counted once.
    Soak,
    /// Clients that mean harm: what becomes of them, and of one who means none. Beside nginx alone.
    Attack,
}

impl Plan {
    fn ask(&self) -> Ask {
        if self.chat { Ask::Chat } else { Ask::Generate }
    }

    fn wants(&self, experiment: Experiment) -> bool {
        self.experiments.is_empty() || self.experiments.contains(&experiment)
    }
}

fn main() -> Result<()> {
    let plan = Plan::parse();
    if !plan.bench {
        return Ok(());
    }
    allow_descriptors()?;
    let load = std::fs::read_to_string("/proc/loadavg").context("this runs on Linux alone")?;
    println!("load average before: {}", load.trim());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if plan.wants(Experiment::Cpu) {
            cpu::measure(&plan).await?;
        }
        if plan.wants(Experiment::Latency) {
            latency::measure(&plan).await?;
        }
        if plan.wants(Experiment::Flat) {
            flat::measure(&plan).await?;
        }
        if plan.wants(Experiment::Unary) {
            unary::measure(&plan).await?;
        }
        if plan.wants(Experiment::Memory) {
            memory::measure(&plan).await?;
        }
        if plan.wants(Experiment::Abort) {
            abort::measure(&plan).await?;
        }
        if plan.wants(Experiment::Scrape) {
            scrape::measure(&plan).await?;
        }
        if plan.wants(Experiment::Soak) {
            soak::measure(&plan).await?;
        }
        if plan.wants(Experiment::Attack) {
            attack::measure(&plan).await?;
        }
        Ok(())
    })
}

/// Each stream takes a descriptor here and two in a peer, which inherits the limit.
fn allow_descriptors() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Nothing here takes as long by itself.
const PATIENCE: Duration = Duration::from_secs(60);
