//! A request that is at an upstream.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{Failed, Upstream, breaker::Kind, queue::Place};

/// One more request at an upstream, until its response has ended or this is dropped. The place that it took for its
/// caller is held until the drop: what is handed on slowly is the caller's stream still.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    has_left: bool,
    /// It tells whether an upstream that was left out is back, and has not told yet.
    tries: bool,
    runs: Runs,
    place: Option<Place>,
}

/// Where a request has its work done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    /// At the upstream.
    Here,
    /// In Ollama's cloud.
    Elsewhere,
}

impl Upstream {
    /// One more request is here until the guard is dropped, which holds `place` too.
    #[must_use]
    pub(crate) fn enter(self: &Arc<Self>, place: Option<Place>) -> Busy {
        Busy::new(self, place, Runs::Here)
    }

    /// One more request is here that Ollama passes on to its cloud: it is no stream of this upstream, and what the cloud
    /// does wrong is not held against the upstream. `place` is its caller's.
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

    /// The head of the response came.
    pub(super) fn answered(&mut self) {
        let Some(breaker) = &self.upstream.breaker else { return };
        self.tries = false;
        if breaker.answered(self.kind()) {
            tracing::info!(upstream = self.upstream.name(), "the upstream is back");
        }
    }

    /// The response came to its end.
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

    /// The upstream failed. Not for what its client did.
    pub(crate) fn failed(&mut self, how: Failed) {
        if self.runs == Runs::Elsewhere && how == Failed::Request {
            return;
        }
        let Some(breaker) = &self.upstream.breaker else { return };
        if let Some(period) = breaker.failed(self.kind(), how, std::mem::take(&mut self.tries)) {
            let upstream = self.upstream.name();
            tracing::warn!(upstream, ?period, "the upstream fails: requests go elsewhere for now");
        }
    }
}

/// What its response says of the upstream. A model that runs elsewhere says nothing of those that run here.
fn kind(place: Option<&Place>, runs: Runs) -> Kind {
    if streams(place, runs) > 0 { Kind::Generation } else { Kind::Other }
}

/// How many streams of the upstream that is.
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
