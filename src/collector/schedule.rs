//! When collectors read: on a runtime, or on a thread of their own where a reading may block.
#![expect(clippy::disallowed_types, reason = "a thread of its own is no async code")]

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Collect, vital::Vital};

/// Reads for ever.
pub(super) async fn run(mut collector: Box<dyn Collect>, every: Duration, vital: Vital) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        vital.time(|| collector.collect());
    }
}

/// Reads on a thread until it is dropped. Nobody waits for the thread's end: its reading may hang.
#[derive(Debug)]
pub(super) struct Thread {
    _stop: mpsc::SyncSender<()>,
}

impl Thread {
    pub(super) fn start(mut collector: Box<dyn Collect>, every: Duration, vital: Vital) -> Thread {
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let name = collector.name();
        let read = move || {
            let mut due = Instant::now();
            loop {
                vital.time(|| collector.collect());
                due = next(due, Instant::now(), every);
                let wait = due.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(read) {
            tracing::error!(collector = name, %error, "cannot start a collector's thread");
        }
        Thread { _stop: stop }
    }
}

/// The next moment on the grid of `due` that is not past. What was missed is not made up for.
fn next(due: Instant, now: Instant, every: Duration) -> Instant {
    let due = due + every;
    if due >= now {
        return due;
    }
    let behind = (now - due).as_nanos().div_ceil(every.as_nanos().max(1));
    due + every * u32::try_from(behind).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reading_stays_on_the_grid_and_makes_up_for_nothing() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        assert_eq!(next(start, start + ms(30), ms(100)), start + ms(100));
        assert_eq!(next(start, start + ms(100), ms(100)), start + ms(100));
        assert_eq!(next(start, start + ms(5_050), ms(100)), start + ms(5_100));
    }
}
