//! One Ollama, and how it fares.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::{HeaderValue, uri::Authority};

use super::{breaker::Breaker, health::Health, probing::Probing, whereabouts::Whereabouts};
use crate::{protocol::is_cloud_model, tls::Peer};

/// One Ollama, and how it fares.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(super) name: String,
    pub(super) authority: Authority,
    pub(super) host: HeaderValue,
    /// `None`: it is plain.
    pub(super) peer: Option<Peer>,
    pub(super) position: usize,
    pub(super) weight: usize,
    pub(super) max_streams: Option<usize>,
    pub(super) requests: AtomicUsize,
    /// Of these, those that take a place.
    pub(super) streams: AtomicUsize,
    pub(super) health: RwLock<Arc<Health>>,
    pub(super) probing: Probing,
    pub(super) whereabouts: Whereabouts,
    /// `None` where there is no other upstream to take its requests.
    pub(super) breaker: Option<Breaker>,
}

impl Upstream {
    /// The value of the label `upstream`.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its place in the settings, from 0.
    #[must_use]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Host and port.
    #[must_use]
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The value of the field `Host`: Ollama on loopback refuses one that it does not know.
    #[must_use]
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// How it is spoken to by TLS; `None`: it is not.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// It failed lately, and is left out for a while.
    #[must_use]
    pub(crate) fn is_out(&self) -> bool {
        self.breaker.as_ref().is_some_and(Breaker::is_open)
    }

    /// Its share beside the others.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// A model does not run here: Ollama passes requests for it on to its cloud. `model` is canonical. What the list of
    /// models says comes before what the name says, for older versions take every name for one of their own.
    pub(crate) fn passes_on(&self, model: &str) -> bool {
        let health = self.health();
        match health.listed(model) {
            Some(Some(_)) => health.remote.contains(model),
            _ => is_cloud_model(model),
        }
    }

    /// It has as many streams as it takes.
    pub(super) fn is_full(&self) -> bool {
        self.max_streams.is_some_and(|most| self.streams.load(Relaxed) >= most)
    }

    /// Requests that are here now.
    #[must_use]
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    /// What it said last.
    #[must_use]
    pub(crate) fn health(&self) -> Arc<Health> {
        self.health.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often its name was found to lead elsewhere.
    pub(super) fn moves(&self) -> u64 {
        self.whereabouts.moves()
    }

    pub(super) fn report(&self, health: Health) {
        *self.health.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(health);
    }
}
