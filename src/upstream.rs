//! The upstreams: their settings, their health, and the choice among them.

mod answer;
#[cfg(test)]
mod batch;
mod breaker;
mod busy;
mod choose;
mod client;
mod config;
mod expected;
mod fresh;
mod health;
mod hook;
mod instance;
mod link;
mod memory;
mod merged;
mod pace;
mod patience;
mod placement;
mod pool;
mod prober;
mod probing;
mod server;
mod shelf;
mod socket;
mod whereabouts;
mod worth;

use hook::Hook;
use std::sync::{Arc, Mutex, RwLock, atomic::AtomicUsize};

use futures_util::future;
use http::{HeaderMap, HeaderValue};

pub(crate) use answer::{Answer, Broken, Excuse};
pub(crate) use breaker::Failed;
pub(crate) use busy::Busy;
pub(crate) use client::{Client, Unanswered};
pub(crate) use config::RESERVED;
pub use config::{Config, Policy, StreamLimit, UpstreamConfig};
pub(crate) use expected::Observed;
pub(crate) use health::{Health, Loaded};
pub(crate) use merged::List;
pub(crate) use patience::Patience;
pub(crate) use placement::Placement;
pub(crate) use prober::NoProber;
pub(crate) use server::Upstream;
pub(crate) use shelf::Managing;

use crate::tls::{Peer, Unusable};
use breaker::Breaker;
use expected::Expected;
use instance::Instance;
use pace::Paces;
use prober::Prober;
use probing::Probing;
use shelf::Shelf;
use whereabouts::Whereabouts;

/// All upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Arc<Upstream>>,
    config: Config,
    primary: usize,
    probers: Vec<Prober>,
    instance: Instance,
    shelf: Arc<Shelf>,
    turn: AtomicUsize,
    paces: Paces,
    hook: Hook,
}

/// Why the upstreams cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream has a reserved name.
    #[error(
        "the upstream name {0:?} is reserved: choose another name, since the metrics use it for something else"
    )]
    Reserved(String),
    /// No upstream is configured.
    #[error("no upstream is configured: add at least one")]
    None,
    /// `upstreams.primary` is not the name of an upstream.
    #[error("upstreams.primary is {0:?}: set it to the name of an upstream")]
    NoSuchPrimary(String),
    /// The verification of an `https` upstream cannot be set up.
    #[error("upstream {name:?}: {why}")]
    Tls {
        /// The upstream.
        name: String,
        /// The reason.
        why: Unusable,
    },
    /// The client that probes them cannot be created.
    #[error(transparent)]
    Client(#[from] NoProber),
}

impl Upstreams {
    /// Creates the upstreams. Their health is unknown until they are probed.
    ///
    /// # Errors
    /// There is no upstream, a name is reserved, the primary is not one of the upstreams, or the verification of an
    /// `https` upstream cannot be set up.
    pub(crate) fn new(config: &Config) -> Result<Upstreams, UpstreamError> {
        if config.upstreams.is_empty() {
            return Err(UpstreamError::None);
        }
        if let Some(one) = config.upstreams.iter().find(|one| RESERVED.contains(&one.name.as_str())) {
            return Err(UpstreamError::Reserved(one.name.clone()));
        }
        let primary = match &config.primary {
            None => 0,
            Some(name) => config
                .upstreams
                .iter()
                .position(|upstream| upstream.name == *name)
                .ok_or_else(|| UpstreamError::NoSuchPrimary(name.clone()))?,
        };
        let has_others = config.upstreams.len() > 1;
        let each = config.upstreams.iter().enumerate();
        let all: Result<Vec<_>, _> =
            each.map(|(position, one)| Upstream::new(position, one, has_others).map(Arc::new)).collect();
        let all = all?;
        let instance = Instance::default();
        let probers: Result<_, _> = all
            .iter()
            .map(|upstream| Prober::new(upstream.peer(), config.connect_timeout, &instance))
            .collect();
        Ok(Upstreams {
            all,
            probers: probers?,
            config: config.clone(),
            primary,
            instance,
            shelf: Arc::default(),
            turn: AtomicUsize::new(0),
            paces: Paces::new(config.upstreams.len()),
            hook: Hook::default(),
        })
    }

    /// Calls `hook` after each probe of an upstream. [`Upstream::health`] is the result of the probe. A second call
    /// of this function has no effect.
    pub(crate) fn on_probe(&self, hook: impl Fn(&Upstream) + Send + Sync + 'static) {
        let _ = self.hook.0.set(Box::new(hook));
    }

    /// Whether these header fields are those of a probe of this sidecar. If so, the address of an upstream leads
    /// back to it.
    #[must_use]
    pub(crate) fn is_own_probe(&self, fields: &HeaderMap) -> bool {
        self.instance.sent(fields)
    }

    /// All upstreams, in the order of the settings.
    #[must_use]
    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// Probes every upstream and follows its name, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        let every = self.config.health_interval;
        let each = self.all.iter().zip(&self.config.upstreams);
        let follows = each
            .clone()
            .map(|(upstream, config)| upstream.whereabouts.follow(upstream.name(), &config.url, every));
        let watches = each.zip(&self.probers).map(|((upstream, config), prober)| {
            prober.clone().watch(upstream, config.url.clone(), every, &self.hook)
        });
        future::join(future::join_all(watches), future::join_all(follows)).await;
    }

    /// Verifies `https` upstreams as these settings say, from the next connection on. The other settings do not
    /// change, nor does an upstream with a different URL.
    pub(crate) fn reload(&self, config: &Config) {
        for ((upstream, before), after) in self.all.iter().zip(&self.config.upstreams).zip(&config.upstreams)
        {
            let Some(peer) = upstream.peer.as_ref().filter(|_| before.url == after.url) else { continue };
            if let Err(why) = peer.renew(after.tls.as_ref()) {
                tracing::warn!(upstream = upstream.name(), %why, "failed to apply the new TLS settings; keeping the previous ones");
            }
        }
    }
}

impl Upstream {
    fn new(position: usize, config: &UpstreamConfig, has_others: bool) -> Result<Upstream, UpstreamError> {
        // The host and port of a URL are a valid authority and a valid header value. The scheme's default port is
        // left out.
        let host = config.url.host_str().unwrap_or("localhost");
        let authority = match config.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Upstream {
            name: config.name.clone(),
            peer: peer(config)?,
            position,
            weight: config.weight.max(1),
            max_streams: config.max_streams,
            host: HeaderValue::from_str(&authority).expect("a URL's host is ASCII"),
            authority: authority.parse().expect("a URL's host and port"),
            requests: AtomicUsize::new(0),
            wedged_since: Mutex::new(None),
            found_limit: Mutex::new(None),
            expected: Expected::default(),
            health: RwLock::default(),
            probing: Probing::default(),
            whereabouts: Whereabouts::default(),
            breaker: has_others.then(Breaker::default),
        })
    }
}

/// The TLS settings of an upstream; `None` if its URL is not `https`.
fn peer(config: &UpstreamConfig) -> Result<Option<Peer>, UpstreamError> {
    if config.url.scheme() != "https" {
        return Ok(None);
    }
    let peer = Peer::new(&config.url, config.tls.as_ref());
    peer.map(Some).map_err(|why| UpstreamError::Tls { name: config.name.clone(), why })
}
