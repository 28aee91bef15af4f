//! Notifies the service manager of the sidecar's state, if it sets `NOTIFY_SOCKET`.

use std::time::Duration;

use sd_notify::NotifyState::{self, ExtendTimeoutUsec, Ready, Reloading, Status, Stopping, Watchdog};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// The time for the process to end after the drain.
const FAREWELL: Duration = Duration::from_secs(5);
/// Watchdog notifications in each interval of the watchdog, so that one may be late.
const SIGNS: u32 = 3;

/// Reports that the sidecar serves. `systemctl status` shows `status`.
pub(super) fn ready(status: &str) {
    tell(&[Ready, Status(status)]);
}

/// Reports that a reload begins. [`ready`] reports its end.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[Reloading, now]),
        Err(error) => tracing::debug!(%error, "failed to read the clock for the service manager"),
    }
}

/// Reports that the process ends, and that it may take as long as `drain`.
pub(super) fn stopping(drain: Duration) {
    let most = u32::try_from((drain + FAREWELL).as_micros()).unwrap_or(u32::MAX);
    tell(&[Stopping, ExtendTimeoutUsec(most), Status("draining")]);
}

/// Sends watchdog notifications for ever, if the unit sets `WatchdogSec=`, as long as every runtime runs its tasks.
pub(super) async fn watchdog(runtimes: Vec<Handle>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    // An interval of zero would be a busy loop.
    let mut ticks = interval((within / SIGNS).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        each_answers(&runtimes).await;
        tell(&[Watchdog]);
    }
}

/// Completes once each of the runtimes has run a task.
async fn each_answers(runtimes: &[Handle]) {
    let mut asked = JoinSet::new();
    for runtime in runtimes {
        asked.spawn_on(std::future::ready(()), runtime);
    }
    while asked.join_next().await.is_some() {}
}

/// Sends a notification. A failure is logged only, since streams matter more.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "failed to notify the service manager: check NOTIFY_SOCKET and that AF_UNIX is allowed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::cli::runtimes::Own;

    #[tokio::test(start_paused = true)]
    async fn watchdog_of_stuck_runtime_sends_nothing() {
        let workers = Own::workers(2).unwrap();
        let handles: Vec<_> = workers.iter().map(Own::handle).collect();
        each_answers(&handles).await;

        let (free, held) = mpsc::sync_channel::<()>(0);
        let (begun, begins) = mpsc::sync_channel::<()>(1);
        handles[1].spawn(async move {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        begins.recv().unwrap();
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, each_answers(&handles)).await.is_err(), "it is blocked");
        drop(free);
        each_answers(&handles).await;
    }
}
