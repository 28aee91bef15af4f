//! The sources of the values that the admin address shows.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::{IntCounter, Registry};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{history::History, streams::Queue, token::AskedToken};
use crate::{meter::Meter, recording::Recorder, store::Store, upstream::Upstreams};

/// The state that all admin requests share. Requests only read.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) registry: Registry,
    pub(crate) meter: Meter,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) queue: Queue,
    pub(crate) draining: CancellationToken,
    pub(crate) history: History,
    pub(crate) scraped: Scraped,
    pub(crate) clients: ClientAddress,
    pub(crate) token: AskedToken,
    pub(crate) refusals: Refusals,
    /// The store of limits that several sidecars share.
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) openmetrics: bool,
    /// Gives the generations that end to readers.
    pub(crate) recorder: Recorder,
}

/// The last time that `/metrics` was read. The page shows it, since nothing else reports that Prometheus is down.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scraped(Arc<Mutex<Option<Instant>>>);

impl Scraped {
    pub(super) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Seconds since the last scrape, or `None` if there was none.
    pub(super) fn ago(&self) -> Option<f64> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.elapsed().as_secs_f64())
    }
}

/// The address of the listener for clients, for the command that the page suggests, and its patience.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress {
    pub(crate) addr: SocketAddr,
    pub(crate) tls: bool,
    /// The time after which a client that reads nothing is disconnected; zero: never.
    pub(crate) stall_timeout: Duration,
}

impl ClientAddress {
    /// The address is `null` if the listener is bound to every interface: then the page's own host reaches it.
    pub(super) fn render(self) -> Value {
        let ip = Some(self.addr.ip()).filter(|ip| !ip.is_unspecified());
        json!({
            "address": ip.map(|ip| ip.to_string()),
            "port": self.addr.port(),
            "tls": self.tls,
            "stall_timeout_seconds": self.stall_timeout.as_secs_f64(),
        })
    }
}

/// Counters of refused requests, by reason.
#[derive(Clone, Debug)]
pub(crate) struct Refusals {
    pub(crate) missing: Arc<IntCounter>,
    pub(crate) wrong: Arc<IntCounter>,
    pub(crate) limited: Arc<IntCounter>,
}
