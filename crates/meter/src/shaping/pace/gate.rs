//! Lets one record through at a time, with governor.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock,
    state::{InMemoryState, NotKeyed},
};
use prometheus::Gauge;
use tokio::time::{Instant, Sleep};

use super::super::rate::Rate;

/// One late wake-up is compensated. With a burst of 1, every late wake-up would slow down the stream.
const BURST: u32 = 2;

/// Tokio's clock, so that paused time applies here too.
#[derive(Clone, Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Limiter =
    RateLimiter<NotKeyed, InMemoryState, TokioClock, governor::middleware::NoOpMiddleware<Duration>>;

/// A limiter, and the sleep until it lets the next record through.
pub(super) struct Gate {
    rate: Rate,
    shown: Arc<Gauge>,
    /// `None` until the first record has passed.
    open: Option<Open>,
    sleep: Option<Pin<Box<Sleep>>>,
}

struct Open {
    rate: f64,
    clock: TokioClock,
    limiter: Limiter,
}

impl Open {
    /// Creates a limiter for a record that passes now. The next record passes one period later.
    fn new(rate: f64) -> Open {
        let clock = TokioClock(Instant::now());
        let period = Duration::from_secs_f64(1.0 / rate).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period)
            .expect("a period above zero")
            .allow_burst(BURST.try_into().expect("a burst above zero"));
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        for _ in 0..BURST {
            // The burst is used up at the start. Otherwise two records would pass at once.
            let _ = limiter.check();
        }
        Open { rate, clock, limiter }
    }

    fn check(&self) -> Result<(), Instant> {
        let until = |not: NotUntil<Duration>| self.clock.0 + not.earliest_possible();
        self.limiter.check().map_err(until)
    }
}

impl Gate {
    pub(super) fn new(rate: Rate, shown: Arc<Gauge>) -> Gate {
        Gate { rate, shown, open: None, sleep: None }
    }

    /// Is ready when a record may pass. The record then counts as passed.
    pub(super) fn poll_pass(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(open) = &self.open {
            let Err(until) = open.check() else { break };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if sleep.deadline() != until {
                sleep.as_mut().reset(until);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        // governor cannot change a limiter, so a new rate gets a new one, which begins with the record that passes
        // now.
        let rate = self.rate.now();
        if rate.is_finite() && self.open.as_ref().is_none_or(|open| open.rate != rate) {
            self.shown.set(rate);
            self.open = Some(Open::new(rate));
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("rate", &self.open.as_ref().map(|open| open.rate)).finish()
    }
}
