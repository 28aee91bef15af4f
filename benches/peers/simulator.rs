//! The simulated Ollama: as a process, so that its CPU time is its own, or here, where its truth can be asked.

use std::{net::SocketAddr, process::Command, sync::Arc, thread, time::Duration};

use anyhow::{Context, Result};
use streamgauge::simulate::{self, Simulator, Truth};

use super::{
    Plan,
    process::{self, Process},
};

/// Streams of a model at once: more than any experiment has.
const SLOTS: usize = 100_000;

/// A simulator of its own process.
pub(crate) fn apart(plan: &Plan, rate: u32, tokens: u32) -> Result<(Process, SocketAddr)> {
    let addr = process::free()?;
    let mut command = Command::new(&plan.ours);
    command.args([
        "-q",
        "simulate",
        "--listen",
        &addr.to_string(),
        "--load-time",
        "0s",
        "--prefill-rate",
        "0",
    ]);
    command.args(["--contention", "0", "--parallel", &SLOTS.to_string()]);
    command.args(["--rate", &rate.to_string(), "--tokens", &tokens.to_string()]);
    Ok((Process::start(&mut command, addr)?, addr))
}

/// A simulator on threads of its own, for as long as this process runs.
pub(crate) fn here(rate: u32, tokens: u32) -> Result<(SocketAddr, Arc<Truth>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bound = {
        let _inside = runtime.enter();
        Simulator::bind(simulate::Config {
            tokens,
            rate: f64::from(rate),
            load_time: Duration::ZERO,
            prefill_rate: 0.0,
            parallel: SLOTS,
            contention: 0.0,
            ..simulate::Config::default()
        })
        .context("cannot bind the simulator")?
    };
    let (addr, truth) = (bound.addr(), bound.truth());
    thread::spawn(move || runtime.block_on(bound.run(std::future::pending())));
    Ok((addr, truth))
}
