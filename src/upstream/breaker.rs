//! An upstream that fails is left out for a while, then tried again with one request.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row of requests that were sent, after which an upstream is left out. One that cannot be reached is
/// left out at once.
const FAILURES: u32 = 3;
/// For how long at first. Each time that it fails again doubles it, until a response comes to its end.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// There was no connection, so that nothing was sent.
    Unreachable,
    /// It took a request and gave no response, or broke one off.
    Request,
}

/// What an upstream's failures come to.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In a row, with no response that came to its end between.
    failures: u32,
    /// In a row, likewise.
    ejections: u32,
    out: Option<Out>,
}

/// Left out.
#[derive(Debug)]
struct Out {
    /// One request may try it from then on.
    until: Instant,
    /// It does.
    is_tried: bool,
}

impl Breaker {
    /// No request goes there, if there is another place for it.
    pub(super) fn is_open(&self) -> bool {
        self.state().out.as_ref().is_some_and(|out| out.is_tried || Instant::now() < out.until)
    }

    /// A request goes there. True: it tries whether the upstream is back, and [`Breaker::untried`] says that it
    /// ended without an answer to that.
    pub(super) fn tries(&self) -> bool {
        match &mut self.state().out {
            Some(out) if !out.is_tried && Instant::now() >= out.until => {
                out.is_tried = true;
                true
            }
            _ => false,
        }
    }

    pub(super) fn untried(&self) {
        if let Some(out) = &mut self.state().out {
            out.is_tried = false;
        }
    }

    /// The head of a response came. True: the upstream is back; its next failure leaves it out again.
    pub(super) fn answered(&self) -> bool {
        let mut state = self.state();
        let is_back = state.out.take().is_some();
        if is_back {
            state.failures = FAILURES - 1;
        }
        is_back
    }

    /// A response came to its end.
    pub(super) fn ended(&self) {
        let mut state = self.state();
        (state.failures, state.ejections) = (0, 0);
    }

    /// For how long it is left out, if this failure does that. `was_try`: of the request that tried it.
    pub(super) fn failed(&self, how: Failed, was_try: bool) -> Option<Duration> {
        let mut state = self.state();
        if state.out.is_some() && !was_try {
            // What it began before it was left out tells nothing new.
            return None;
        }
        state.failures = state.failures.saturating_add(1);
        if how == Failed::Request && state.failures < FAILURES && !was_try {
            return None;
        }
        let period = SHORTEST.saturating_mul(1 << state.ejections.min(8)).min(LONGEST);
        state.ejections += 1;
        state.out = Some(Out { until: Instant::now() + period, is_tried: false });
        Some(period)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn out_after_three_then_one_tries_and_it_is_back() {
        let breaker = Breaker::default();
        assert_eq!(breaker.failed(Failed::Request, false), None);
        assert_eq!(breaker.failed(Failed::Request, false), None);
        assert_eq!(breaker.failed(Failed::Request, false), Some(SHORTEST));
        assert!(breaker.is_open() && !breaker.tries());
        // Streams that were there before.
        assert_eq!(breaker.failed(Failed::Request, false), None);
        advance(SHORTEST).await;
        assert!(!breaker.is_open());
        assert!(breaker.tries());
        assert!(breaker.is_open() && !breaker.tries(), "one at a time");
        assert!(breaker.answered());
        assert!(!breaker.is_open() && !breaker.answered());
        // It broke off in the middle: one is enough now, and the time is longer.
        assert_eq!(breaker.failed(Failed::Request, false), Some(2 * SHORTEST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_fails_doubles_the_time_and_one_that_is_given_up_does_not() {
        let breaker = Breaker::default();
        let mut period = breaker.failed(Failed::Unreachable, false).unwrap();
        assert_eq!(period, SHORTEST);
        for expected in [10, 20, 40, 60, 60, 60] {
            advance(period).await;
            assert!(breaker.tries());
            breaker.untried();
            assert!(breaker.tries());
            period = breaker.failed(Failed::Unreachable, true).unwrap();
            assert_eq!(period.as_secs(), expected);
        }
        advance(period).await;
        assert!(breaker.tries() && breaker.answered());
        breaker.ended();
        assert_eq!(breaker.failed(Failed::Unreachable, false), Some(SHORTEST));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_are_not_in_a_row_leave_it_in() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.failed(Failed::Request, false), None);
            assert_eq!(breaker.failed(Failed::Request, false), None);
            assert!(!breaker.answered());
            breaker.ended();
        }
    }
}
