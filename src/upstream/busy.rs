//! A request that is at an upstream.

use std::sync::{Arc, Weak, atomic::Ordering::Relaxed};

use super::{Failed, Upstream, breaker::Kind};
use crate::scheduler::Slot;

/// Counts a request at an upstream until its response has ended or this is dropped. The stream of its caller counts
/// until the drop, because the client may still receive the response.
#[derive(Debug)]
pub(crate) struct Busy {
    upstream: Arc<Upstream>,
    has_left: bool,
    /// Whether this request is the trial of a half-open breaker, without a result yet.
    tries: bool,
    /// Whether the response is a failure, so that it does not show that a model runs.
    is_refused: bool,
    runs: Runs,
    slot: Option<Slot>,
    /// Its model, if the end of a load is to be noticed.
    model: Option<Box<str>>,
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
    pub(crate) fn enter(self: &Arc<Self>, slot: Option<Slot>) -> Busy {
        Busy::new(self, slot, Runs::Here)
    }

    /// Counts a request that Ollama passes on to its cloud. It is not a stream of this upstream, and failures of
    /// the cloud do not open the breaker. `slot` counts for the caller's limit only.
    #[must_use]
    pub(crate) fn pass_on(self: &Arc<Self>, slot: Option<Slot>) -> Busy {
        Busy::new(self, slot, Runs::Elsewhere)
    }
}

impl Busy {
    fn new(upstream: &Arc<Upstream>, mut slot: Option<Slot>, runs: Runs) -> Busy {
        upstream.requests.fetch_add(1, Relaxed);
        let kind = kind(slot.as_ref(), runs);
        // The scheduler asked the breaker when it gave the slot.
        let asked = slot.as_mut().filter(|_| runs == Runs::Here).and_then(Slot::take_trial);
        let tries = || upstream.breaker.as_ref().is_some_and(|breaker| breaker.tries(kind));
        Busy {
            upstream: upstream.clone(),
            has_left: false,
            tries: asked.unwrap_or_else(tries),
            is_refused: false,
            runs,
            slot,
            model: None,
        }
    }

    /// Notes the model that the upstream runs for this request.
    #[must_use]
    pub(crate) fn with_model(mut self, model: Option<&str>) -> Busy {
        // With one upstream, no load decides about a slot.
        self.model = model.filter(|_| self.upstream.breaker.is_some()).map(Box::from);
        self
    }

    fn kind(&self) -> Kind {
        kind(self.slot.as_ref(), self.runs)
    }

    /// The evidence of the response. An error shows only that the upstream answers.
    fn evidence(&self) -> Kind {
        if self.is_refused { Kind::Other } else { self.kind() }
    }

    /// Returns a token that lives as long as the request holds a slot. `None`: it holds no slot, or no limit applies.
    pub(super) fn token(&self) -> Option<Weak<()>> {
        self.slot.as_ref().and_then(Slot::token)
    }

    /// Notes the head of the response. A trial that gets an error proves nothing, and the next request tries again.
    pub(super) fn answered(&mut self, is_success: bool) {
        self.is_refused = !is_success;
        if let Some(model) = self.model.take()
            && self.upstream.expected.load_ended(&model, is_success)
        {
            self.changed();
        }
        let Some(breaker) = &self.upstream.breaker else { return };
        let closed = breaker.answered(self.evidence());
        self.tries = self.tries && !is_success && !closed;
        if closed {
            tracing::info!(
                upstream = self.upstream.name(),
                "the upstream works again: its circuit breaker closed"
            );
            self.changed();
        }
    }

    /// Notes the complete end of the response.
    pub(super) fn ended(&mut self) {
        if let Some(breaker) = &self.upstream.breaker {
            breaker.ended(self.evidence());
        }
        self.leave();
    }

    /// Frees the slot, because the upstream works no more on the request.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.upstream.requests.fetch_sub(1, Relaxed);
            if let Some(slot) = &mut self.slot {
                slot.leave();
            }
        }
    }

    /// Notes a failure of the upstream. Do not call it for a failure of the client.
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
            self.changed();
        }
    }

    /// Lets the scheduler look up the candidates of waiting requests again.
    fn changed(&self) {
        if let Some(slot) = &self.slot {
            slot.changed();
        }
    }
}

/// The evidence of its response about the upstream. A model that runs elsewhere is no evidence about the models that
/// run here.
fn kind(slot: Option<&Slot>, runs: Runs) -> Kind {
    if slot.is_some() && runs == Runs::Here { Kind::Generation } else { Kind::Other }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.leave();
        if let Some(model) = self.model.take()
            && self.upstream.expected.load_ended(&model, false)
        {
            self.changed();
        }
        if self.tries {
            self.upstream.abandoned();
            self.changed();
        }
    }
}
