//! Runs the simulated Ollama in this process, so that its counts can be read.

use std::{net::SocketAddr, sync::Arc, thread, time::Duration};

use anyhow::{Context, Result};
use streamgauge_simulate::{self as simulate, Simulator, Truth};

use super::simulator::SLOTS;

/// A simulator on its own threads, which runs until the process ends.
pub(crate) fn start(rate: u32, tokens: u32) -> Result<(SocketAddr, Arc<Truth>)> {
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
