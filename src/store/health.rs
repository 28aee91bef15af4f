//! Whether the store decides, and since when and why it does not.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

use tokio::{sync::Notify, time::Instant};

use super::{failure::StoreFailure, policy::OnFailure, verdict::SharedStatus};

/// Calls in a row that may be late before the store counts as failed. One late answer is no outage.
const LATE: u32 = 3;

/// The breaker between the requests and the store. While it is open, requests are decided without the store, and only
/// the worker asks it.
#[derive(Debug)]
pub(super) struct StoreHealth {
    is_up: AtomicBool,
    sidecars: AtomicU32,
    state: Mutex<HealthState>,
    /// Notified when the store fails.
    pub(super) failed: Notify,
    on_failure: OnFailure,
}

#[derive(Debug)]
struct HealthState {
    why: StoreFailure,
    since: Instant,
    late: u32,
    /// The present mode is in the log.
    is_logged: bool,
}

impl StoreHealth {
    pub(super) fn new(on_failure: OnFailure) -> StoreHealth {
        let state =
            HealthState { why: StoreFailure::Starting, since: Instant::now(), late: 0, is_logged: false };
        StoreHealth {
            is_up: AtomicBool::new(false),
            sidecars: AtomicU32::new(1),
            state: Mutex::new(state),
            failed: Notify::new(),
            on_failure,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }

    /// The number of sidecars that the store knew last, at least 1.
    pub(super) fn sidecars(&self) -> u32 {
        self.sidecars.load(Relaxed).max(1)
    }

    pub(super) fn count(&self, sidecars: u32) {
        self.sidecars.store(sidecars, Relaxed);
    }

    pub(super) fn status(&self) -> SharedStatus {
        let (is_up, state) = (self.is_up(), self.state());
        SharedStatus {
            mode: if is_up { "shared" } else { self.on_failure.label() },
            why: (!is_up).then(|| state.why.to_string()),
            lasts: state.since.elapsed(),
            sidecars: self.sidecars(),
        }
    }

    /// A call was answered in time.
    pub(super) fn answered(&self) {
        self.state().late = 0;
    }

    /// A call failed. Returns whether the store counts as failed from now on.
    pub(super) fn fail(&self, why: StoreFailure) -> bool {
        let mut state = self.state();
        if matches!(why, StoreFailure::Late { .. }) && self.is_up() {
            state.late += 1;
            if state.late < LATE {
                return false;
            }
        }
        let was_up = self.is_up.swap(false, Relaxed);
        if was_up {
            (state.since, state.is_logged) = (Instant::now(), false);
        }
        if !std::mem::replace(&mut state.is_logged, true) {
            let mode = self.on_failure.label();
            tracing::warn!(mode, %why, "shared limits are not in force: the store failed");
        }
        state.why = why;
        drop(state);
        self.failed.notify_one();
        was_up
    }

    /// The store decides again.
    pub(super) fn restored(&self, server: &str) {
        let mut state = self.state();
        let seconds = state.since.elapsed().as_secs_f64();
        tracing::info!(server, after_s = seconds, sidecars = self.sidecars(), "shared limits are in force");
        (state.since, state.late, state.is_logged) = (Instant::now(), 0, true);
        self.is_up.store(true, Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn late() -> StoreFailure {
        StoreFailure::Late { server: "redis://a:1".to_owned(), limit: Duration::from_millis(20), advice: "" }
    }

    #[tokio::test(start_paused = true)]
    async fn breaker_opens_after_three_late_answers_in_a_row_or_one_refusal() {
        let health = StoreHealth::new(OnFailure::Local);
        assert!(!health.is_up());
        health.restored("redis://a:1");
        assert!(!health.fail(late()) && !health.fail(late()));
        health.answered();
        assert!(!health.fail(late()) && !health.fail(late()) && health.is_up());
        assert!(health.fail(late()) && !health.is_up());
        assert_eq!(health.status().mode, "local");
        health.restored("redis://a:1");
        let refused = StoreFailure::Refused { server: String::new(), why: "READONLY".to_owned(), advice: "" };
        assert!(health.fail(refused.clone()));
        assert!(!health.fail(refused), "it has failed already");
        assert!(health.status().why.unwrap().contains("READONLY"));
    }
}
