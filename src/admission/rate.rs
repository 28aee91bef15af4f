//! Rate limits of a caller, on governor's GCRA.
//!
//! The cost of a request in tokens is known only at its end. The debt is charged to the limiter then, and must be
//! paid back before the next request. The state store is our own, since governor refuses a cost above the burst.

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

/// A rate: a number in each period, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The number in each period.
    pub count: NonZeroU32,
    /// The period.
    pub per: Duration,
    /// How many may come at once. Usually this equals `count`.
    pub burst: NonZeroU32,
}

impl Quota {
    /// A quota whose burst is its count.
    #[must_use]
    pub const fn new(count: NonZeroU32, per: Duration) -> Quota {
        Quota { count, per, burst: count }
    }

    /// The mean rate that the quota allows.
    pub(super) fn per_second(&self) -> f64 {
        f64::from(self.count.get()) / self.per.as_secs_f64()
    }

    /// The time in which one of them comes back.
    fn each(&self) -> Duration {
        (self.per / self.count.get()).max(Duration::from_nanos(1))
    }

    /// The time in which a whole burst comes back.
    pub(super) fn all(&self) -> Duration {
        self.each().saturating_mul(self.burst.get())
    }
}

/// The rest of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many may come at once.
    pub limit: u32,
    /// How many may come now.
    pub remaining: u32,
    /// The time until all of them may come.
    pub reset: Duration,
}

/// Tokio's clock, from the creation of the limiter on, so that tests can pause it.
#[derive(Clone, Copy, Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// GCRA's theoretical arrival time: when the next cell would come if cells came evenly.
#[derive(Clone, Debug)]
struct Arrival {
    /// In nanoseconds of the clock, which the limiters that follow each other have in common.
    at: Arc<AtomicU64>,
    /// The creation of the limiter, from which governor counts.
    from: u64,
}

impl StateStore for Arrival {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, step: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut seen = self.at.load(Relaxed);
        loop {
            let (value, next) = step(Some(Nanos::from(seen.saturating_sub(self.from))))?;
            let next = u64::from(next).saturating_add(self.from);
            match self.at.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(value),
                Err(now) => seen = now,
            }
        }
    }
}

/// Enforces a quota.
#[derive(Debug)]
pub(super) struct Limiter {
    quota: Quota,
    clock: TokioClock,
    arrival: Arrival,
    limiter: RateLimiter<NotKeyed, Arrival, TokioClock, NoOpMiddleware<Duration>>,
}

impl Limiter {
    pub(super) fn new(quota: Quota) -> Limiter {
        Limiter::with(quota, TokioClock(Instant::now()), Arc::default())
    }

    /// A limiter with another quota and the state of `former`, to which both charge from now on. What comes back in a
    /// time of its own stays taken for this time.
    pub(super) fn following(quota: Quota, former: &Limiter) -> Limiter {
        Limiter::with(quota, former.clock, former.arrival.at.clone())
    }

    fn with(quota: Quota, clock: TokioClock, at: Arc<AtomicU64>) -> Limiter {
        let arrival = Arrival { at, from: nanos(clock.now()) };
        let pace = governor::Quota::with_period(quota.each()).expect("a period above zero");
        let limiter = RateLimiter::new(pace.allow_burst(quota.burst), arrival.clone(), clock);
        Limiter { quota, clock, arrival, limiter }
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes one, or returns how long to wait for it.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not| not.wait_time_from(self.clock.now()))
    }

    /// The time to wait for one; zero if one is available. Takes nothing.
    pub(super) fn wait(&self) -> Duration {
        self.ahead().saturating_sub(self.tolerance())
    }

    /// Takes this many, whether they are available or not.
    pub(super) fn charge(&self, count: u64) {
        let cost = nanos(self.quota.each()).saturating_mul(count);
        let now = nanos(self.clock.now());
        let later = |arrival: u64| Some(arrival.max(now).saturating_add(cost));
        // The closure never declines, so this cannot fail.
        let _ = self.arrival.at.fetch_update(Relaxed, Relaxed, later);
    }

    /// Gives one back.
    pub(super) fn refund(&self) {
        let cost = nanos(self.quota.each());
        let _ = self.arrival.at.fetch_update(Relaxed, Relaxed, |arrival| Some(arrival.saturating_sub(cost)));
    }

    /// Gives back what stays taken for longer than this, or than the time in which one comes back.
    pub(super) fn shorten(&self, longest: Duration) {
        let latest = self.clock.now().saturating_add(longest.max(self.quota.each()));
        self.arrival.at.fetch_min(nanos(latest), Relaxed);
    }

    pub(super) fn allowance(&self) -> Allowance {
        let (each, ahead) = (self.quota.each(), self.ahead());
        let free = (self.tolerance() + each).saturating_sub(ahead).as_nanos() / each.as_nanos();
        let limit = self.quota.burst.get();
        Allowance { limit, remaining: u32::try_from(free).unwrap_or(limit).min(limit), reset: ahead }
    }

    /// How far the theoretical arrival time is ahead of now.
    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.arrival.at.load(Relaxed)).saturating_sub(self.clock.now())
    }

    /// How far it may be ahead while one more is admitted.
    fn tolerance(&self) -> Duration {
        self.quota.each().saturating_mul(self.quota.burst.get() - 1)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
