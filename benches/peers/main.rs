//! Compares the sidecar with nginx, HAProxy, Envoy, Caddy and LiteLLM, and with relays that measure nothing, on the
//! same streams of the same simulated Ollama, in one run.
//!
//! `cargo bench --bench peers -- cpu latency flat unary memory idle abort scrape soak attack` runs these parts; without
//! names, it runs all of them. `--help` shows the options. Every record of every stream is compared with the
//! simulator's direct response, and so is the text of each chat (`cpu --chat`). `attack` compares with nginx only
//! and uses an upstream of its own, which records all bytes that it receives.
#![allow(clippy::print_stdout, reason = "the benchmark prints its results")]
#![allow(clippy::disallowed_methods, reason = "the benchmark waits for processes and searches the PATH")]

mod abort;
mod attack;
// Two benchmarks use this module.
#[path = "../bare/mod.rs"]
mod bare;
mod collector;
mod cpu;
mod flat;
mod idle;
mod inside;
mod latency;
mod load;
mod memory;
mod peer;
mod process;
mod reference;
mod relay;
mod scrape;
mod simulator;
mod soak;
mod spread;
mod start;
mod stream;
mod unary;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use peer::Wanted;
use start::Start;
use stream::Ask;

/// The options.
#[derive(Clone, Debug, Parser)]
struct Plan {
    /// What to measure [default: everything]
    experiments: Vec<Experiment>,
    /// The number of repetitions. In each one, every peer is measured once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The concurrent streams of `cpu` and `latency`
    #[arg(long, default_value_t = 400)]
    streams: usize,
    /// The records per second of each stream of `cpu`
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// Let `cpu` send chats of OpenAI's API
    #[arg(long)]
    chat: bool,
    /// The measured seconds of each round of `cpu` and `latency`
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// The concurrent streams of `memory` and `soak`, and the connections of `idle`
    #[arg(long, default_value_t = 1000)]
    many: usize,
    /// The duration of `soak` in seconds
    #[arg(long, default_value_t = 60)]
    soak_seconds: u32,
    /// The clients of `abort` that disconnect
    #[arg(long, default_value_t = 1000)]
    aborts: usize,
    /// How the streams of `cpu`, `latency` and `memory` start
    #[arg(long, value_enum, default_value_t)]
    start: Start,
    /// Let the simulator send at equal intervals. `latency` then also counts from the time at which a record was due
    #[arg(long)]
    steady: bool,
    /// A proxy to compare with; repeat it for more, the base of the ratios last. With NAME:WORKERS it has as many
    /// workers, otherwise one for each core. `streamgauge` alone decides itself how many it uses. `logged` is a
    /// streamgauge with a request log of all requests and traces of 1 % of them. `hyper` and `copy`
    /// are relays that measure nothing. LiteLLM must be named, since it handles only some hundred records per second
    #[arg(long = "peer", value_name = "NAME[:WORKERS]", default_values = ["streamgauge", "caddy", "envoy", "haproxy", "nginx"])]
    peers: Vec<Wanted>,
    /// The streamgauge that simulates and is measured [default: the one just built]
    #[arg(long, default_value = env!("CARGO_BIN_EXE_streamgauge"), hide_default_value = true)]
    ours: PathBuf,
    /// Another streamgauge to compare with; repeat it for more
    #[arg(long)]
    against: Vec<PathBuf>,
    /// Set by `cargo bench` and not by `cargo test`, which must not measure.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Experiment {
    /// The CPU time of a chunk
    Cpu,
    /// The age of a chunk at the client
    Latency,
    /// The throughput at the maximum rate
    Flat,
    /// Requests whose response is not a stream
    Unary,
    /// The memory of a stream
    Memory,
    /// The CPU time without a request, and the memory of a connection that waits for one
    Idle,
    /// The time from a client's disconnect to the end of its generation
    Abort,
    /// A scrape while streams run, and its effect on them
    Scrape,
    /// Many streams for a long time: each arrives complete and is counted once
    Soak,
    /// Attacks: the fate of the attackers, and of an honest client. Compared with nginx only
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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, how, rest @ ..] = &arguments[..]
        && name == relay::COMMAND
    {
        return relay::run(how, rest);
    }
    let plan = Plan::parse();
    if !plan.bench {
        return Ok(());
    }
    allow_descriptors()?;
    let load = std::fs::read_to_string("/proc/loadavg").context("this runs on Linux alone")?;
    println!("load average before: {}", load.trim());
    println!("cores: {}", std::thread::available_parallelism()?);
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
        if plan.wants(Experiment::Idle) {
            idle::measure(&plan).await?;
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

/// Longer than any step of the benchmark.
const PATIENCE: Duration = Duration::from_secs(60);
