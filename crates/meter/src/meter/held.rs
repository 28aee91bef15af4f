//! The time in which a client does not read what is there for it.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus::Counter;

use super::timeline::nanos;

/// The stretches of one request. A client that reads nothing for minutes would show in the metrics only when it reads
/// again or leaves, so a scrape counts the present stretch up to now.
#[derive(Debug, Default)]
pub(super) struct HeldTime {
    /// Where the stretches are counted, from the start of the response on.
    total: OnceLock<Arc<Counter>>,
    /// The counter of the caller, which counts the same time.
    of_caller: OnceLock<Arc<Counter>>,
    /// Nanoseconds of the stretches that have ended.
    ended: AtomicU64,
    /// Nanoseconds of the present stretch that are counted.
    counted: Mutex<u64>,
}

impl HeldTime {
    pub(super) fn count_by(&self, total: &Arc<Counter>) {
        let _ = self.total.set(total.clone());
    }

    pub(super) fn count_for_caller(&self, counter: Arc<Counter>) {
        let _ = self.of_caller.set(counter);
    }

    /// Returns the sum of the stretches that have ended.
    pub(super) fn ended(&self) -> Duration {
        Duration::from_nanos(self.ended.load(Relaxed))
    }

    /// Counts a stretch, after `now` of [`HeldTime::count`] no longer returns it.
    pub(super) fn end(&self, stretch: Duration) {
        self.ended.fetch_add(nanos(stretch), Relaxed);
        let counted = std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner));
        self.add(nanos(stretch).saturating_sub(counted));
    }

    /// Counts the present stretch up to now, if there is one.
    pub(super) fn count(&self, now: impl FnOnce() -> Option<Duration>) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: `end` has not counted a stretch that ends now.
        if let Some(held) = now().map(nanos) {
            self.add(held.saturating_sub(*counted));
            *counted = held.max(*counted);
        }
    }

    fn add(&self, nanos: u64) {
        let Some(total) = self.total.get() else { return };
        let seconds = Duration::from_nanos(nanos).as_secs_f64();
        total.inc_by(seconds);
        if let Some(counter) = self.of_caller.get() {
            counter.inc_by(seconds);
        }
    }
}
