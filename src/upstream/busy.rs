//! A request that is at an upstream.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{Failed, Upstream, breaker::Kind, queue::Place};

/// Counts a request at an upstream until its response has ended or this is dropped. The slot is held until the
/// drop, since a response that is handed on slowly is still a stream of its caller.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    has_left: bool,
    /// This request tries whether the upstream works again, and has no result yet.
    tries: bool,
    runs: Runs,
    place: Option<Place>,
}

/// The place where a request is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    /// At the upstream.
    Here,
    /// In Ollama's cloud.
    Elsewhere,
}

impl Upstream {
    /// Counts a request at this upstream until the guard is dropped. The guard holds `slot` too.
    #[must_use]
    pub(crate) fn enter(self: &Arc<Self>, place: Option<Place>) -> Busy {
        Busy::new(self, place, Runs::Here)
    }

    /// Counts a request that Ollama passes on to its cloud. It is not a stream of this upstream, and failures of
    /// the cloud do not open the breaker. `slot` counts for the caller's limit only.
    #[must_use]
    pub(crate) fn pass_on(self: &Arc<Self>, place: Option<Place>) -> Busy {
        Busy::new(self, place, Runs::Elsewhere)
    }
}

impl Busy {
    fn new(upstream: &Arc<Upstream>, place: Option<Place>, runs: Runs) -> Busy {
        upstream.requests.fetch_add(1, Relaxed);
        upstream.streams.fetch_add(streams(place.as_ref(), runs), Relaxed);
        let kind = kind(place.as_ref(), runs);
        let tries = upstream.breaker.as_ref().is_some_and(|breaker| breaker.tries(kind));
        Busy { upstream: upstream.clone(), has_left: false, tries, runs, place }
    }

    fn kind(&self) -> Kind {
        kind(self.place.as_ref(), self.runs)
    }

    /// Notes the head of the response.
    pub(super) fn answered(&mut self) {
        let Some(breaker) = &self.upstream.breaker else { return };
        self.tries = false;
        if breaker.answered(self.kind()) {
            tracing::info!(
                upstream = self.upstream.name(),
                "the upstream works again: its circuit breaker closed"
            );
        }
    }

    /// Notes the complete end of the response.
    pub(super) fn ended(&mut self) {
        if let Some(breaker) = &self.upstream.breaker {
            breaker.ended(self.kind());
        }
        self.leave();
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.upstream.requests.fetch_sub(1, Relaxed);
            self.upstream.streams.fetch_sub(streams(self.place.as_ref(), self.runs), Relaxed);
            if let Some(place) = &mut self.place {
                place.leave();
            }
        }
    }

    /// Notes a failure of the upstream. Do not call it for what the client did.
    pub(crate) fn failed(&mut self, how: Failed) {
        if self.runs == Runs::Elsewhere && how == Failed::Request {
            return;
        }
        let Some(breaker) = &self.upstream.breaker else { return };
        if let Some(period) = breaker.failed(self.kind(), how, std::mem::take(&mut self.tries)) {
            let upstream = self.upstream.name();
            tracing::warn!(
                upstream,
                ?period,
                "the upstream failed: its circuit breaker opened, and other upstreams get its requests"
            );
        }
    }
}

/// The kind of the request. The response of a model that runs in the cloud says nothing about local models.
fn kind(place: Option<&Place>, runs: Runs) -> Kind {
    if streams(place, runs) > 0 { Kind::Generation } else { Kind::Other }
}

/// The number of streams that the request takes at the upstream: 0 or 1.
fn streams(place: Option<&Place>, runs: Runs) -> usize {
    usize::from(place.is_some() && runs == Runs::Here)
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.leave();
        if self.tries
            && let Some(breaker) = &self.upstream.breaker
        {
            breaker.abandoned();
        }
    }
}
