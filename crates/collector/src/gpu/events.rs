//! Waits for XID errors, on a thread for each GPU, because a driver's wait blocks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use super::xid::XidReport;

/// NVML's code of an error that it does not know.
pub(super) const UNKNOWN: u64 = 999;
/// How long [`Events::end`] waits for a thread.
const END: Duration = Duration::from_secs(2);
/// The most codes of all GPUs that are kept between two readings. NVIDIA's catalog has fewer than 200.
const MOST: usize = 1_000;

/// The errors by GPU and code since the last reading.
type Errors = Arc<Mutex<BTreeMap<(usize, u64), u64>>>;

/// The threads that wait. They end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Events {
    errors: Errors,
    threads: Vec<EventThread>,
}

#[derive(Debug)]
struct EventThread {
    stop: SyncSender<()>,
    ended: Receiver<()>,
}

/// The thread of one GPU, as its work sees it.
pub(super) struct Feed {
    position: usize,
    errors: Errors,
    stopped: Receiver<()>,
}

impl Feed {
    /// Passes an error on. Beyond the bound, its code is lost, and it counts with [`UNKNOWN`].
    pub(super) fn report(&self, code: u64) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let is_kept = errors.len() < MOST || errors.contains_key(&(self.position, code));
        *errors.entry((self.position, if is_kept { code } else { UNKNOWN })).or_default() += 1;
    }

    /// Waits for this time. Returns false if the work must end.
    pub(super) fn goes_on(&self, pause: Duration) -> bool {
        self.stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }
}

impl Events {
    /// Runs `work` for the GPU at this position. It must ask [`Feed::goes_on`] several times a second.
    pub(super) fn watch(&mut self, position: usize, work: impl FnOnce(&Feed) + Send + 'static) {
        let (stop, stopped) = sync_channel(0);
        let (end, ended) = sync_channel(0);
        let feed = Feed { position, errors: self.errors.clone(), stopped };
        let run = move || {
            work(&feed);
            drop(end);
        };
        match thread::Builder::new().name(format!("gpu-events-{position}")).spawn(run) {
            Ok(_) => self.threads.push(EventThread { stop, ended }),
            Err(error) => {
                tracing::error!(gpu = position, %error, "the thread for XID errors could not be started");
            }
        }
    }

    /// Returns the errors since the last call.
    pub(super) fn take(&self) -> Vec<XidReport> {
        let errors = std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner));
        let report = |((position, code), errors)| XidReport { position, code, errors };
        errors.into_iter().map(report).collect()
    }

    /// Ends the threads, so that they use nothing of the driver any more. A thread that hangs in the driver is left behind.
    pub(super) fn end(&mut self) {
        let threads = std::mem::take(&mut self.threads);
        let ends: Vec<_> =
            threads.into_iter().map(|EventThread { stop, ended }| (drop(stop), ended).1).collect();
        for ended in ends {
            let _: Result<(), RecvTimeoutError> = ended.recv_timeout(END);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const WAIT: Duration = Duration::from_millis(5);

    /// Reports the errors that the test sends. The result ends when the thread does.
    fn driven(events: &mut Events, position: usize) -> (SyncSender<u64>, Receiver<()>) {
        let (told, errors) = sync_channel(MOST * 2);
        let (alive, ended) = sync_channel::<()>(0);
        events.watch(position, move |feed| {
            let _alive = alive;
            while feed.goes_on(Duration::ZERO) {
                if let Ok(code) = errors.recv_timeout(WAIT) {
                    feed.report(code);
                }
            }
        });
        (told, ended)
    }

    /// The errors by GPU and code, when there are that many.
    fn taken(events: &Events, count: u64) -> BTreeMap<(usize, u64), u64> {
        let mut all = BTreeMap::new();
        while all.values().sum::<u64>() < count {
            for XidReport { position, code, errors } in events.take() {
                *all.entry((position, code)).or_default() += errors;
            }
            thread::yield_now();
        }
        all
    }

    #[test]
    fn xid_errors_of_each_gpu_are_taken_once() {
        let mut events = Events::default();
        let (first, _first) = driven(&mut events, 0);
        let (second, _second) = driven(&mut events, 1);
        first.send(13).unwrap();
        second.send(79).unwrap();
        second.send(79).unwrap();
        assert_eq!(taken(&events, 3), BTreeMap::from([((0, 13), 1), ((1, 79), 2)]));
        assert_eq!(events.take(), []);
    }

    #[test]
    fn threads_end_when_they_are_ended_or_dropped() {
        let mut events = Events::default();
        let (_told, ended) = driven(&mut events, 0);
        events.end();
        assert!(ended.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Disconnected));
        let (_told, ended) = driven(&mut events, 0);
        drop(events);
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn thread_that_hangs_in_the_driver_is_left_behind() {
        let mut events = Events::default();
        let (release, released) = sync_channel::<()>(0);
        events.watch(0, move |_| {
            let _ = released.recv();
        });
        let began = Instant::now();
        events.end();
        assert!(began.elapsed() >= END);
        drop(release);
    }

    #[test]
    fn errors_that_nobody_takes_are_all_counted_in_bounded_memory() {
        let mut events = Events::default();
        let (told, ended) = driven(&mut events, 0);
        let codes = 10_000..10_000 + MOST as u64;
        for code in codes.clone().chain([20_000, 20_001, 10_000, 10_000]) {
            told.send(code).unwrap();
        }
        let all = codes.map(|code| ((0, code), if code == 10_000 { 3 } else { 1 }));
        let mut expected: BTreeMap<_, _> = all.collect();
        expected.insert((0, UNKNOWN), 2);
        // Nobody takes them before the last one was reported.
        while events.errors.lock().unwrap().values().sum::<u64>() < MOST as u64 + 4 {
            thread::yield_now();
        }
        drop(told);
        events.end();
        drop(ended);
        assert_eq!(taken(&events, MOST as u64 + 4), expected);
    }
}
