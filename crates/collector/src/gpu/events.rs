//! Waits for XID errors, on a thread for each GPU, because a driver's wait blocks.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// How long [`Events::end`] waits for a thread.
const END: Duration = Duration::from_secs(2);
/// The most errors that are kept between two readings.
const MOST: usize = 1_000;

type Errors = Arc<Mutex<Vec<(usize, u64)>>>;

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
    /// Passes an error on.
    pub(super) fn report(&self, code: u64) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < MOST {
            errors.push((self.position, code));
        }
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

    /// Returns the errors since the last call: the position of the GPU, and the code.
    pub(super) fn take(&self) -> Vec<(usize, u64)> {
        std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner))
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

    fn taken(events: &Events, count: usize) -> Vec<(usize, u64)> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(events.take());
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
        let mut all = taken(&events, 2);
        all.sort_unstable();
        assert_eq!(all, [(0, 13), (1, 79)]);
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
    fn memory_of_errors_that_nobody_takes_is_bounded() {
        let mut events = Events::default();
        let (told, ended) = driven(&mut events, 0);
        for _ in 0..MOST + 5 {
            told.send(13).unwrap();
        }
        // The work has reported all errors when it is idle, and ends then.
        while events.errors.lock().unwrap().len() < MOST {
            thread::yield_now();
        }
        drop(told);
        events.end();
        drop(ended);
        assert_eq!(events.take().len(), MOST);
    }
}
