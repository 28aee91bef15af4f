//! How much a caller may ask for, on governor's GCRA.
//!
//! What a request costs in tokens is known at its end, so the debt is put on the limiter then and paid back
//! before the next request. The state is our own, since governor refuses a cost above the burst.

#[cfg(test)]
mod tests;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::{
    RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use tokio::time::Instant;

/// So many in a period, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many in a period.
    pub count: NonZeroU32,
    /// The period.
    pub per: Duration,
    /// How many at once; a usual value is `count`.
    pub burst: NonZeroU32,
}

impl Quota {
    /// A quota whose burst is its count.
    #[must_use]
    pub const fn new(count: NonZeroU32, per: Duration) -> Quota {
        Quota { count, per, burst: count }
    }

    /// Time that one of them takes to come back.
    fn each(&self) -> Duration {
        (self.per / self.count.get()).max(Duration::from_nanos(1))
    }
}

/// How much is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many may come at once.
    pub limit: u32,
    /// How many of them may come now.
    pub remaining: u32,
    /// Until all of them may.
    pub reset: Duration,
}

/// Tokio's clock, from the limiter's making on, so that paused time is paused here too.
#[derive(Clone, Copy, Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// When the next cell would come if cells came evenly (GCRA's theoretical arrival time): nanoseconds since
/// the limiter was made.
#[derive(Clone, Debug, Default)]
struct Arrival(Arc<AtomicU64>);

impl StateStore for Arrival {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, step: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut seen = self.0.load(Relaxed);
        loop {
            let (value, next) = step(Some(Nanos::from(seen)))?;
            match self.0.compare_exchange_weak(seen, next.into(), Relaxed, Relaxed) {
                Ok(_) => return Ok(value),
                Err(now) => seen = now,
            }
        }
    }
}

/// What keeps a quota.
#[derive(Debug)]
pub(super) struct Limiter {
    quota: Quota,
    clock: TokioClock,
    arrival: Arrival,
    limiter: RateLimiter<NotKeyed, Arrival, TokioClock, NoOpMiddleware<Duration>>,
}

impl Limiter {
    pub(super) fn new(quota: Quota) -> Limiter {
        let clock = TokioClock(Instant::now());
        let arrival = Arrival::default();
        let pace = governor::Quota::with_period(quota.each()).expect("a period above zero");
        let limiter = RateLimiter::new(pace.allow_burst(quota.burst), arrival.clone(), clock);
        Limiter { quota, clock, arrival, limiter }
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes one, or says how long to wait for it.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not| not.wait_time_from(self.clock.now()))
    }

    /// How long to wait for one; zero: none. Takes nothing.
    pub(super) fn wait(&self) -> Duration {
        self.ahead().saturating_sub(self.tolerance())
    }

    /// Takes as many, whether they are there or not.
    pub(super) fn charge(&self, count: u64) {
        let cost = nanos(self.quota.each()).saturating_mul(count);
        let now = nanos(self.clock.now());
        let later = |arrival: u64| Some(arrival.max(now).saturating_add(cost));
        // The closure never declines, so this cannot fail.
        let _ = self.arrival.0.fetch_update(Relaxed, Relaxed, later);
    }

    /// Gives one back.
    pub(super) fn refund(&self) {
        let cost = nanos(self.quota.each());
        let _ = self.arrival.0.fetch_update(Relaxed, Relaxed, |arrival| Some(arrival.saturating_sub(cost)));
    }

    pub(super) fn allowance(&self) -> Allowance {
        let (each, ahead) = (self.quota.each(), self.ahead());
        let free = (self.tolerance() + each).saturating_sub(ahead).as_nanos() / each.as_nanos();
        let limit = self.quota.burst.get();
        Allowance { limit, remaining: u32::try_from(free).unwrap_or(limit).min(limit), reset: ahead }
    }

    /// How far the arrival is ahead of now.
    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.arrival.0.load(Relaxed)).saturating_sub(self.clock.now())
    }

    /// How far it may be ahead for one more to be let in.
    fn tolerance(&self) -> Duration {
        self.quota.each().saturating_mul(self.quota.burst.get() - 1)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
