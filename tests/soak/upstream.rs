//! Simulated Ollamas: one that stays, and one that comes and goes.

use std::{net::SocketAddr, time::Duration};

use streamgauge_simulate::{Bound, Config, Simulator};
use tokio::time::{Instant, sleep_until};

/// More models than have labels of their own.
pub(crate) const MODELS: usize = 24;

fn config() -> Config {
    Config {
        models: (0..MODELS).map(|number| format!("m{number}:latest")).collect(),
        tokens: 20,
        rate: 200.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        parallel: 64,
        contention: 0.0,
        ..Config::default()
    }
}

pub(crate) fn start() -> SocketAddr {
    let bound = Simulator::bind(config()).unwrap();
    let addr = bound.addr();
    tokio::spawn(bound.run(std::future::pending()));
    addr
}

/// An Ollama that runs at times, always on the same address.
pub(crate) struct Coming {
    first: Bound,
}

impl Coming {
    pub(crate) fn new() -> Coming {
        Coming { first: Simulator::bind(config()).unwrap() }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.first.addr()
    }

    /// Starts and stops, each for this long. When it stops, it drops the running streams.
    pub(crate) async fn until(self, end: Instant, each: Duration) {
        let listen = self.addr();
        let mut bound = self.first;
        loop {
            let turn = || sleep_until(end.min(Instant::now() + each));
            bound.run(turn()).await;
            if Instant::now() >= end {
                return;
            }
            turn().await;
            bound = Simulator::bind(Config { listen, ..config() }).unwrap();
        }
    }
}
