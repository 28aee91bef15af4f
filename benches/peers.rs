//! The sidecar beside nginx, on the same streams of the same simulated Ollama, in one run.
//!
//! `cargo bench --bench peers -- cpu memory abort soak` (all of them, if none is named; `--help` says more).
//! Every record of every stream is compared with what the simulator says when it is asked directly.
#![allow(clippy::print_stdout, reason = "it reports to whoever runs it")]
#![allow(clippy::disallowed_methods, reason = "it waits for processes, and looks for one on the PATH")]

#[path = "peers/abort.rs"]
mod abort;
#[path = "peers/cpu.rs"]
mod cpu;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/memory.rs"]
mod memory;
#[path = "peers/peer.rs"]
mod peer;
#[path = "peers/process.rs"]
mod process;
#[path = "peers/reference.rs"]
mod reference;
#[path = "peers/simulator.rs"]
mod simulator;
#[path = "peers/soak.rs"]
mod soak;
#[path = "peers/spread.rs"]
mod spread;
#[path = "peers/stream.rs"]
mod stream;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

/// What is measured, and how hard.
#[derive(Clone, Debug, Parser)]
struct Plan {
    /// What to measure; everything, if nothing is named.
    experiments: Vec<Experiment>,
    /// Repetitions of `cpu` and `memory`; the peers take turns in each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Streams at once of `cpu`.
    #[arg(long, default_value_t = 400)]
    streams: usize,
    /// Records a second of each stream of `cpu`.
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// Seconds that a round of `cpu` is measured.
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
    /// nginx; without one the sidecar runs alone.
    #[arg(long)]
    nginx: Option<PathBuf>,
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
    /// Memory of a stream.
    Memory,
    /// From a client's leaving to its generation's end.
    Abort,
    /// Many streams for long: none harmed, each counted once.
    Soak,
}

impl Plan {
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
        if plan.wants(Experiment::Memory) {
            memory::measure(&plan).await?;
        }
        if plan.wants(Experiment::Abort) {
            abort::measure(&plan).await?;
        }
        if plan.wants(Experiment::Soak) {
            soak::measure(&plan).await?;
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
