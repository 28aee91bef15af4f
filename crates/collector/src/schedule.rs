//! Decides where and when collectors read: on a runtime, or on a thread of their own if a reading may block.
#![expect(clippy::disallowed_types, reason = "a thread of its own is no async code")]

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Collect, vital::Vital};

/// Reads without end.
pub(super) async fn run(mut collector: Box<dyn Collect>, every: Duration, vital: Vital) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        vital.time(|| collector.collect());
    }
}

/// Reads on a thread until it is dropped. The drop does not wait for the thread's end, because a reading may hang.
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
                due = next(due, Instant::now() + collector.rest().unwrap_or_default(), every);
                loop {
                    let left = due.saturating_duration_since(Instant::now());
                    let hurry = collector.hurry().filter(|hurry| *hurry < left);
                    if stopped.recv_timeout(hurry.unwrap_or(left)) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    if hurry.is_none() {
                        break;
                    }
                    collector.hurried();
                }
            }
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(read) {
            tracing::error!(collector = name, %error, "the thread of a collector could not be started");
        }
        Thread { _stop: stop }
    }
}

/// Returns the next time of the schedule of `due` that is not past. Missed times are skipped.
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
    use prometheus::Registry;

    use super::*;
    use crate::{CollectError, vital::Vitals};

    /// Reports which of its functions is called.
    struct Hurried(mpsc::SyncSender<&'static str>);

    impl Collect for Hurried {
        fn name(&self) -> &'static str {
            "hurried"
        }

        fn register(&self, _: &Registry) -> prometheus::Result<()> {
            Ok(())
        }

        fn collect(&mut self) -> Result<(), CollectError> {
            let _ = self.0.send("all");
            Ok(())
        }

        fn hurry(&self) -> Option<Duration> {
            Some(Duration::from_millis(10))
        }

        fn hurried(&mut self) {
            let _ = self.0.send("urgent");
        }
    }

    #[test]
    fn schedule_reads_urgent_values_between_two_readings() {
        let (told, heard) = mpsc::sync_channel(1_000);
        let vital = Vitals::register(&Registry::new()).unwrap().enter("hurried", Duration::from_millis(100));
        let thread = Thread::start(Box::new(Hurried(told)), Duration::from_millis(100), vital);
        let next = || heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(next(), "all");
        // A machine may wake threads late. Sooner or later one reading is in time.
        while next() != "urgent" {}
        while next() != "all" {}
        drop(thread);
        while heard.recv().is_ok() {}
    }

    /// Reports the time of each reading, and has nothing to read for a while after it.
    struct Resting(mpsc::SyncSender<Instant>);

    impl Resting {
        const REST: Duration = Duration::from_millis(300);
    }

    impl Collect for Resting {
        fn name(&self) -> &'static str {
            "resting"
        }

        fn register(&self, _: &Registry) -> prometheus::Result<()> {
            Ok(())
        }

        fn collect(&mut self) -> Result<(), CollectError> {
            let _ = self.0.send(Instant::now());
            Ok(())
        }

        fn rest(&self) -> Option<Duration> {
            Some(Resting::REST)
        }
    }

    #[test]
    fn schedule_reads_nothing_while_collector_rests() {
        let (told, heard) = mpsc::sync_channel(1_000);
        let every = Duration::from_millis(10);
        let vital = Vitals::register(&Registry::new()).unwrap().enter("resting", every);
        let _thread = Thread::start(Box::new(Resting(told)), every, vital);
        let next = || heard.recv_timeout(Duration::from_secs(60)).unwrap();
        let (first, second) = (next(), next());
        assert!(second - first >= Resting::REST, "{:?}", second - first);
    }

    #[test]
    fn schedule_after_late_reading_stays_on_its_grid_without_catching_up() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        assert_eq!(next(start, start + ms(30), ms(100)), start + ms(100));
        assert_eq!(next(start, start + ms(100), ms(100)), start + ms(100));
        assert_eq!(next(start, start + ms(5_050), ms(100)), start + ms(5_100));
    }
}
