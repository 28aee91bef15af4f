//! Simulated Ollamas: one that stays, and one that comes and goes.

use std::{net::SocketAddr, time::Duration};

use streamgauge_simulate::{Bound, Config, Simulator};
use tokio::time::{Instant, sleep_until};

/// More than have labels of their own.
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

/// One that is there now and then, always at the same place.
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

    /// Comes and goes, each for so long. As it goes, it drops what runs in the middle.
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
