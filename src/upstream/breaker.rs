//! The circuit breaker of an upstream: closed, open, half-open.
//!
//! Only a response to the kind of request that failed closes it: an Ollama whose model hangs still answers `/api/show`.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row of requests that were sent, after which the breaker opens. It opens at once for an upstream that
/// cannot be reached.
const FAILURES: u32 = 3;
/// For how long it is open at first. Each time that it opens again doubles it, until a response comes to its end.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// There was no connection, so that nothing was sent.
    Unreachable,
    /// It took a request and gave no response, or broke one off.
    Request,
}

/// What a request asks of an upstream, as far as its response says whether the upstream works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It runs a model, and takes a slot.
    Generation,
    /// Anything else.
    Other,
}

impl Kind {
    /// A response to a request of this kind says that requests of `failed` work again.
    fn vouches_for(self, failed: Kind) -> bool {
        self == failed || self == Kind::Generation
    }
}

/// What an upstream's failures come to.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    position: Position,
    /// Failures in a row of generations, with no response that came to its end between.
    generations: u32,
    /// Likewise of other requests.
    others: u32,
    /// How often it opened in a row, likewise.
    openings: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum Position {
    /// Requests go there.
    #[default]
    Closed,
    /// No request goes there until then, if there is another upstream for it. `by` is the kind that failed.
    Open { until: Instant, by: Kind },
    /// One request tries whether it works again, and no other goes there.
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
    /// No request goes there, if there is another upstream for it.
    pub(super) fn is_open(&self) -> bool {
        match self.state().position {
            Position::Closed => false,
            Position::Open { until, .. } => Instant::now() < until,
            Position::HalfOpen { .. } => true,
        }
    }

    /// A request goes there. True: the breaker is half-open for it, and [`Breaker::abandoned`] says that it ended
    /// without a response and without a failure.
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

    /// The request that tried it told nothing: the next one may try.
    pub(super) fn abandoned(&self) {
        let mut state = self.state();
        if let Position::HalfOpen { by } = state.position {
            state.position = Position::Open { until: Instant::now(), by };
        }
    }

    /// The head of a response came. True: it closed the breaker; the next failure opens it again.
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

    /// A response came to its end.
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

    /// For how long the breaker opens, if this failure opens it. `was_try`: of the request that tried it.
    pub(super) fn failed(&self, kind: Kind, how: Failed, was_try: bool) -> Option<Duration> {
        let mut state = self.state();
        if !matches!(state.position, Position::Closed) && !was_try {
            // A request that was sent before tells nothing new.
            return None;
        }
        let failures = state.failures(kind);
        *failures = failures.saturating_add(1);
        if how == Failed::Request && *failures < FAILURES && !was_try {
            return None;
        }
        // Any response shows that it can be reached again.
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
        // Streams that were there before.
        assert_eq!(breaker.failed(Generation, Failed::Request, false), None);
        advance(SHORTEST).await;
        assert!(!breaker.is_open());
        assert!(breaker.tries(Generation));
        assert!(breaker.is_open() && !breaker.tries(Generation), "one at a time");
        assert!(breaker.answered(Generation));
        assert!(!breaker.is_open() && !breaker.answered(Generation));
        // It broke off in the middle: one is enough now, and the time is longer.
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
        // The time still doubles: no generation has ended.
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
