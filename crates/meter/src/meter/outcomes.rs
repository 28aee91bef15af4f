//! `requests_total` of one upstream, route and model.

use std::sync::Arc;

use prometheus::IntCounter;

use super::Outcome;
use crate::{metric::Family, protocol::Route};

/// The abilities of the program besides forwarding, on which the possible outcomes depend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Possible {
    /// It merges the lists of models of several upstreams.
    pub(super) merge_lists: bool,
    /// It may send the head of a stream before the upstream's.
    pub(super) respond_early: bool,
}

/// The counters by outcome. Each possible outcome has a counter from the start, because `rate()` and `increase()`
/// ignore the first value of a series: a first burst of errors would be invisible.
#[derive(Debug)]
pub(super) struct Outcomes {
    family: Family<IntCounter, 4>,
    upstream: String,
    model: String,
    route: Route,
    /// By [`Outcome::index`].
    opened: [Option<Arc<IntCounter>>; Outcome::ALL.len()],
}

impl Outcomes {
    /// `upstream` is `None` before one is chosen.
    pub(super) fn open(
        family: &Family<IntCounter, 4>,
        upstream: Option<&str>,
        model: &str,
        route: Route,
        may: Possible,
    ) -> Outcomes {
        let mut outcomes = Outcomes {
            family: family.clone(),
            upstream: upstream.unwrap_or("none").to_owned(),
            model: model.to_owned(),
            route,
            opened: Default::default(),
        };
        let can_happen = |outcome: &Outcome| match upstream {
            Some(_) => can_happen(route, *outcome, may),
            None => can_happen_unsent(route, *outcome, may),
        };
        for outcome in Outcome::ALL.into_iter().filter(can_happen) {
            outcomes.opened[outcome.index()] = Some(outcomes.child(outcome));
        }
        outcomes
    }

    /// Whether these are the counters of this upstream and this model.
    pub(super) fn is_of(&self, upstream: Option<&str>, model: &str) -> bool {
        self.upstream == upstream.unwrap_or("none") && self.model == model
    }

    /// Counts an outcome.
    pub(super) fn ended(&self, outcome: Outcome) {
        match &self.opened[outcome.index()] {
            Some(counter) => counter.inc(),
            None => self.child(outcome).inc(),
        }
    }

    fn child(&self, outcome: Outcome) -> Arc<IntCounter> {
        self.family.child([&self.upstream, self.route.label(), &self.model, outcome.label()])
    }
}

/// Whether a request at an upstream can have this outcome. An outcome that no Ollama causes is still counted if it
/// happens.
fn can_happen(route: Route, outcome: Outcome, may: Possible) -> bool {
    match outcome {
        Outcome::InBandError => route.may_stream(),
        Outcome::Truncated => route.may_stream() && route.has_terminal_record(),
        // The queue can refuse it.
        Outcome::Refused => route.takes_slot(),
        Outcome::LateError => may.respond_early && route.streams_events(),
        Outcome::Complete | Outcome::UpstreamError | Outcome::ClientError | Outcome::ClientAbort => true,
    }
}

/// Whether a request without an upstream can have this outcome.
fn can_happen_unsent(route: Route, outcome: Outcome, may: Possible) -> bool {
    match outcome {
        Outcome::Complete => {
            may.merge_lists && matches!(route, Route::Tags | Route::Ps | Route::OpenaiModels)
        }
        Outcome::ClientError | Outcome::ClientAbort | Outcome::Refused => true,
        Outcome::LateError => may.respond_early && route.streams_events(),
        Outcome::InBandError | Outcome::Truncated | Outcome::UpstreamError => false,
    }
}
