//! What a service manager is told of a sidecar: nothing, unless it asks to be told by `NOTIFY_SOCKET`.

use std::time::Duration;

use sd_notify::NotifyState::{self, ExtendTimeoutUsec, Ready, Reloading, Status, Stopping, Watchdog};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// Beyond the drain, for the process to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Signs of life within the time in which one is wanted, so that one that is late does no harm.
const SIGNS: u32 = 3;

/// It serves; `status` is for `systemctl status`.
pub(super) fn ready(status: &str) {
    tell(&[Ready, Status(status)]);
}

/// It reads its configuration again; [`ready`] says that this is over.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[Reloading, now]),
        Err(error) => tracing::debug!(%error, "no clock to tell the service manager the time of a reload"),
    }
}

/// It ends, which may take as long as `drain`.
pub(super) fn stopping(drain: Duration) {
    let most = u32::try_from((drain + FAREWELL).as_micros()).unwrap_or(u32::MAX);
    tell(&[Stopping, ExtendTimeoutUsec(most), Status("draining")]);
}

/// Gives signs of life, for ever, if some are wanted (`WatchdogSec=`): as long as each of the runtimes does what it is
/// given.
pub(super) async fn watchdog(runtimes: Vec<Handle>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    // A grid of no width would be a busy loop.
    let mut ticks = interval((within / SIGNS).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        each_answers(&runtimes).await;
        tell(&[Watchdog]);
    }
}

/// Ends once each of the runtimes has done something since.
async fn each_answers(runtimes: &[Handle]) {
    let mut asked = JoinSet::new();
    for runtime in runtimes {
        asked.spawn_on(std::future::ready(()), runtime);
    }
    while asked.join_next().await.is_some() {}
}

/// Whoever cannot be told goes without: streams matter more.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager: is NOTIFY_SOCKET right, and may AF_UNIX be used?");
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
