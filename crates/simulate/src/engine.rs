//! The state that all connections share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::HeaderMap;

use super::Config;
use super::blobs::Blobs;
use super::decode::{Pace, seconds_each};
use super::faults::Faults;
use super::lot::Lot;
use super::reply::Refusal;
use super::seed::Seed;
use super::shelf::Shelf;
use super::truth::Truth;
use super::version::{ChatPath, OllamaVersion, UnknownName};

/// The state that all connections share.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: Config,
    pub(super) truth: Arc<Truth>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) blobs: Blobs,
    pub(super) seed: Seed,
    streams: AtomicU64,
    pub(super) on_loopback: bool,
}

impl Engine {
    pub(super) fn new(config: Config, addr: SocketAddr) -> Self {
        let truth = Arc::new(Truth::new());
        Self {
            shelf: Arc::new(Shelf::new(&config, Arc::clone(&truth))),
            truth,
            blobs: Blobs::default(),
            seed: Seed::new(config.seed),
            streams: AtomicU64::new(0),
            on_loopback: addr.ip().is_loopback(),
            config,
        }
    }

    pub(super) fn truth(&self) -> Arc<Truth> {
        Arc::clone(&self.truth)
    }

    /// Returns the model of a request that names no readable one.
    pub(super) fn default_model(&self) -> &str {
        self.config.models.first().map_or("sim:latest", String::as_str)
    }

    /// Draws the faults and the speed of the next stream.
    pub(super) fn draw(&self, headers: &HeaderMap) -> Result<Lot, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let seed = self.seed.child(self.streams.fetch_add(1, Relaxed));
        let fate = match header("x-simulate-fault") {
            Some(spec) => Faults::certain(spec).map_err(|error| Refusal::bad(error.to_string()))?.draw(seed),
            None => self.config.faults.draw(seed),
        };
        let rate = match header("x-simulate-rate") {
            Some(rate) => rate.parse().map_err(|_| Refusal::bad("x-simulate-rate is no number"))?,
            None => self.config.rate,
        };
        let path = match header("x-simulate-chat") {
            Some(path) => path
                .parse()
                .map_err(|error: UnknownName| Refusal::bad(format!("x-simulate-chat: {error}")))?,
            None => self.config.chat,
        };
        let Config { version, contention, congestion, jitter, .. } = self.config;
        // 0.12 has no other path.
        let path = if version == OllamaVersion::V0_12 { ChatPath::GoTemplate } else { path };
        Ok(Lot {
            fate,
            pace: Pace { version, interval: seconds_each(rate), contention, congestion, jitter },
            path,
            group: 1,
            seed,
        })
    }
}
