//! The circuit breaker of an upstream: closed, open, half-open.
//!
//! Only a response to the kind of request that failed closes it, since an Ollama whose model hangs still answers
//! `/api/show`.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Consecutive failures of requests that were sent, after which the breaker opens. An upstream that cannot be
/// reached opens it at once.
const FAILURES: u32 = 3;
/// How long the breaker stays open at first. Each further opening doubles the time, until a response ends
/// completely.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// No connection could be made, so that nothing was sent.
    Unreachable,
    /// The upstream took a request and gave no response, or broke the response off.
    Request,
}

/// The kind of a request, which decides what its response says about the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request runs a model and takes a slot.
    Generation,
    /// Any other request.
    Other,
}

impl Kind {
    /// Whether a response to this kind of request shows that requests of the kind `failed` work again.
    fn vouches_for(self, failed: Kind) -> bool {
        self == failed || self == Kind::Generation
    }
}

/// The circuit breaker of one upstream.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    position: Position,
    /// Consecutive failures of generations, without a complete response in between.
    generations: u32,
    /// Consecutive failures of other requests, without a complete response in between.
    others: u32,
    /// How often it has opened in a row.
    openings: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum Position {
    /// The upstream gets requests.
    #[default]
    Closed,
    /// The upstream gets no requests until `until`, if another upstream can take them. `by` is the kind that
    /// failed.
    Open { until: Instant, by: Kind },
    /// One request tries whether the upstream works again. It gets no others.
    HalfOpen { by: Kind },
}

impl State {
    fn failures(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Generation => &mut self.generations,
            Kind::Other => &mut self.others,
        }
    }
}

impl Breaker {
    /// Whether the upstream gets no requests if another upstream can take them.
    pub(super) fn is_open(&self) -> bool {
        match self.state().position {
            Position::Closed => false,
            Position::Open { until, .. } => Instant::now() < until,
            Position::HalfOpen { .. } => true,
        }
    }

    /// Notes that a request is sent. Returns true if the breaker is half-open for this request.
    /// [`Breaker::abandoned`] must be called if it ends without a response and without a failure.
    pub(super) fn tries(&self, kind: Kind) -> bool {
        let mut state = self.state();
        match state.position {
            Position::Open { until, by } if Instant::now() >= until && kind.vouches_for(by) => {
                state.position = Position::HalfOpen { by };
                true
            }
            _ => false,
        }
    }

    /// Notes that the request which tried the upstream ended without a result, so that the next one may try.
    pub(super) fn abandoned(&self) {
        let mut state = self.state();
        if let Position::HalfOpen { by } = state.position {
            state.position = Position::Open { until: Instant::now(), by };
        }
    }

    /// Lets one generation try the upstream, unless the breaker is open or half-open already.
    pub(super) fn wants_trial(&self) {
        let mut state = self.state();
        if matches!(state.position, Position::Closed) {
            state.position = Position::Open { until: Instant::now(), by: Kind::Generation };
        }
    }

    /// Notes the head of a response. Returns true if it closed the breaker, which the next failure opens again.
    pub(super) fn answered(&self, kind: Kind) -> bool {
        let mut state = self.state();
        match state.position {
            Position::Open { by, .. } | Position::HalfOpen { by } if kind.vouches_for(by) => {
                state.position = Position::Closed;
                *state.failures(by) = FAILURES - 1;
                true
            }
            _ => false,
        }
    }

    /// Notes the complete end of a response.
    pub(super) fn ended(&self, kind: Kind) {
        let mut state = self.state();
        for failed in [Kind::Generation, Kind::Other] {
            if kind.vouches_for(failed) {
                *state.failures(failed) = 0;
            }
        }
        if state.generations == 0 {
            state.openings = 0;
        }
    }

    /// Notes a failure. Returns how long the breaker stays open, if the failure opens it. `was_try`: the failed
    /// request was the one that tried the upstream.
    pub(super) fn failed(&self, kind: Kind, how: Failed, was_try: bool) -> Option<Duration> {
        let mut state = self.state();
        if !matches!(state.position, Position::Closed) && !was_try {
            // A request that was sent before the breaker opened says nothing new.
            return None;
        }
        let failures = state.failures(kind);
        *failures = failures.saturating_add(1);
        if how == Failed::Request && *failures < FAILURES && !was_try {
            return None;
        }
        // Any response shows that the upstream can be reached again.
        let by = if how == Failed::Unreachable { Kind::Other } else { kind };
        let period = SHORTEST.saturating_mul(1 << state.openings.min(8)).min(LONGEST);
        state.openings += 1;
        state.position = Position::Open { until: Instant::now() + period, by };
        Some(period)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::{Kind::*, *};

    #[tokio::test(start_paused = true)]
    async fn breaker_opens_after_three_failures_and_one_request_closes_it() {
        let breaker = Breaker::default();
        assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
        assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
        assert_eq!(breaker.failed(Generation, Failed::Request, false), Some(SHORTEST));
        assert!(breaker.is_open() && !breaker.tries(Generation));
        // Streams that began before the breaker opened.
        assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
        advance(SHORTEST).await;
        assert!(!breaker.is_open());
        assert!(breaker.tries(Generation));
        assert!(breaker.is_open() && !breaker.tries(Generation), "one at a time");
        assert!(breaker.answered(Generation));
        assert!(!breaker.is_open() && !breaker.answered(Generation));
        // The response broke off. One failure is enough now, and the time is longer.
        assert_eq!(breaker.failed(Generation, Failed::Request, false), Some(2 * SHORTEST));
    }

    #[tokio::test(start_paused = true)]
    async fn breaker_doubles_its_time_after_failed_try_and_not_after_abandoned_one() {
        let breaker = Breaker::default();
        let mut period = breaker.failed(Generation, Failed::Unreachable, false).unwrap();
        assert_eq!(period, SHORTEST);
        for expected in [10, 20, 40, 60, 60, 60] {
            advance(period).await;
            assert!(breaker.tries(Generation));
            breaker.abandoned();
            assert!(breaker.tries(Generation));
            period = breaker.failed(Generation, Failed::Unreachable, true).unwrap();
            assert_eq!(period.as_secs(), expected);
        }
        advance(period).await;
        assert!(breaker.tries(Generation) && breaker.answered(Generation));
        breaker.ended(Generation);
        assert_eq!(breaker.failed(Generation, Failed::Unreachable, false), Some(SHORTEST));
    }

    #[tokio::test(start_paused = true)]
    async fn breaker_stays_closed_if_failures_are_not_consecutive() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
            assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
            assert!(!breaker.answered(Generation));
            breaker.ended(Generation);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn breaker_opened_by_generations_ignores_other_requests() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
            breaker.answered(Other);
            breaker.ended(Other);
        }
        assert_eq!(breaker.failed(Generation, Failed::Request, false), Some(SHORTEST));
        assert!(!breaker.answered(Other) && breaker.is_open());
        advance(SHORTEST).await;
        assert!(!breaker.tries(Other) && breaker.tries(Generation));
        breaker.ended(Other);
        assert!(!breaker.answered(Other) && breaker.is_open());
        // The time still doubles, since no generation has ended.
        assert_eq!(breaker.failed(Generation, Failed::Request, true), Some(2 * SHORTEST));
    }

    #[tokio::test(start_paused = true)]
    async fn breaker_of_unreachable_upstream_closes_on_any_response() {
        let breaker = Breaker::default();
        breaker.failed(Generation, Failed::Unreachable, false).unwrap();
        advance(SHORTEST).await;
        assert!(breaker.tries(Other) && breaker.answered(Other) && !breaker.is_open());
    }
}
