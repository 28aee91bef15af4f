//! One Ollama: its settings, its health and its requests.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{HeaderValue, uri::Authority};
use tokio::time::Instant;

use super::{
    StreamLimit,
    breaker::{Breaker, Kind},
    expected::Expected,
    health::Health,
    probing::Probing,
    whereabouts::Whereabouts,
};
use crate::{protocol::is_cloud_model, tls::Peer};

/// One upstream, with its health and its requests.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(super) name: String,
    pub(super) authority: Authority,
    pub(super) host: HeaderValue,
    /// `None`: the connection is plain.
    pub(super) peer: Option<Peer>,
    pub(super) position: usize,
    pub(super) weight: usize,
    pub(super) max_streams: Option<StreamLimit>,
    /// The limit that was found, and the reason for it.
    pub(super) found_limit: Mutex<Option<(usize, &'static str)>>,
    pub(super) requests: AtomicUsize,
    /// Since when its requests have been silent for longer than is usual.
    pub(super) wedged_since: Mutex<Option<Instant>>,
    pub(super) expected: Expected,
    pub(super) health: RwLock<Arc<Health>>,
    pub(super) probing: Probing,
    pub(super) whereabouts: Whereabouts,
    /// `None` if there is no other upstream that could take its requests.
    pub(super) breaker: Option<Breaker>,
}

impl Upstream {
    /// The value of the label `upstream`.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The position in the settings, from 0.
    #[must_use]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The host and the port.
    #[must_use]
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The value of the header field `Host`. Ollama on loopback refuses a host that it does not know.
    #[must_use]
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The TLS settings of the connection; `None`: the connection is plain.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Whether the upstream failed recently or is wedged, and gets no requests for now.
    #[must_use]
    pub(crate) fn is_out(&self) -> bool {
        self.is_wedged() || self.breaker.as_ref().is_some_and(Breaker::is_open)
    }

    /// Whether its requests have been silent for longer than is usual, although its probes may be answered.
    #[must_use]
    pub(crate) fn is_wedged(&self) -> bool {
        self.wedged_since().is_some()
    }

    /// When the upstream was found to be wedged. `None`: it is not.
    pub(crate) fn wedged_since(&self) -> Option<Instant> {
        *self.wedged_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the upstream is wedged. Returns true if that has changed. An upstream that is wedged no longer
    /// gets one generation as a trial, since its silent requests may have left without an answer.
    pub(crate) fn wedges(&self, is_wedged: bool) -> bool {
        let mut since = self.wedged_since.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = since.is_some() != is_wedged;
        if has_changed {
            *since = is_wedged.then(Instant::now);
        }
        drop(since);
        if let Some(breaker) = self.breaker.as_ref().filter(|_| has_changed && !is_wedged) {
            breaker.wants_trial();
        }
        has_changed
    }

    /// The share of requests relative to the other upstreams.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether Ollama passes requests for this model on to its cloud. `model` is canonical. The upstream's list of
    /// models decides before the name does, since older versions have local models with such names.
    pub(crate) fn passes_on(&self, model: &str) -> bool {
        let health = self.health();
        match health.listed(model) {
            Some(Some(_)) => health.remote.contains(model),
            _ => is_cloud_model(model),
        }
    }

    /// Notes that a generation gets a slot here. Returns whether it is the trial of a half-open breaker.
    pub(super) fn tries_generation(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.tries(Kind::Generation))
    }

    /// Notes that the trial ended without a result.
    pub(super) fn abandoned(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.abandoned();
        }
    }

    /// Whether the model is in its memory, as the last probe says or a request that has generated since.
    fn is_loaded(&self, model: &str) -> bool {
        let health = self.health();
        health.has_loaded(model) || self.expected.has_used(model, health.asked)
    }

    /// Returns the expected rest of the model's load that runs. `None`: none runs.
    pub(super) fn rest(&self, model: &str) -> Option<Duration> {
        self.expected.rest(model).filter(|_| !self.is_loaded(model))
    }

    /// Whether the model is in its memory, or is being loaded.
    pub(super) fn is_warm(&self, model: &str) -> bool {
        self.is_loaded(model) || self.expected.is_loading(model)
    }

    /// Notes that a request for this model goes there.
    pub(super) fn goes_to(&self, model: &str) {
        if self.breaker.is_some() && !self.is_loaded(model) {
            self.expected.load_begins(model);
        }
    }

    /// Returns the expected cost of a slot here for a request for this model: the time to the first token, and the time
    /// to reload the models that its load evicts.
    pub(super) fn expects(&self, model: &str) -> Duration {
        let first = self.expected.first_token(model, self.is_loaded(model), self.requests() > 0);
        if self.is_warm(model) { first } else { first.saturating_add(self.reload(model)) }
    }

    /// Returns the time to reload the models that a load of this model is expected to evict.
    fn reload(&self, model: &str) -> Duration {
        self.expected.reload(model, self.health().loaded.as_deref().unwrap_or_default())
    }

    /// Returns the expected time to load the model, and to reload the models that its load evicts. It is zero if the model
    /// is in memory. `None`: no load was measured yet.
    pub(super) fn load(&self, model: &str) -> Option<Duration> {
        if self.is_loaded(model) {
            return Some(Duration::ZERO);
        }
        self.expected.load(model).map(|load| load.saturating_add(self.reload(model)))
    }

    /// The limit that was found for it with `max_streams = "auto"`, and the reason for it. `None`: its limit is fixed.
    pub(crate) fn found_limit(&self) -> Option<(usize, &'static str)> {
        *self.found_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of requests at this upstream.
    #[must_use]
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    /// The result of the last probe.
    #[must_use]
    pub(crate) fn health(&self) -> Arc<Health> {
        self.health.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of changes of its name's addresses.
    pub(super) fn moves(&self) -> u64 {
        self.whereabouts.moves()
    }

    pub(super) fn report(&self, health: Health) {
        if let Some(now) = health.loaded.as_ref().filter(|_| !health.is_loaded_stale) {
            self.expected.saw(self.health().loaded.as_deref().unwrap_or_default(), now);
        }
        *self.health.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(health);
    }
}
