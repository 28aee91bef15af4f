//! Writes lines to stderr on a thread of its own, so that a stalled reader of stderr blocks nothing.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

/// The most lines that wait to be written. Further lines are dropped and counted.
const WAITING: usize = 1024;
/// The interval at which a flush checks whether there is room for its message.
const LOOK: Duration = Duration::from_millis(5);

/// The writer of the log. Each write is one line, and never blocks or fails.
#[derive(Clone, Debug)]
pub struct Stderr {
    to: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// A request to report that all earlier lines are written.
    Flushed(SyncSender<()>),
}

impl Stderr {
    /// Starts the thread that writes to the process's stderr.
    #[must_use]
    pub fn start() -> Stderr {
        Stderr::over(io::stderr())
    }

    fn over(sink: impl Write + Send + 'static) -> Stderr {
        let (to, from) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let stderr = Stderr { to, lost: lost.clone() };
        // If no thread can be started, nothing else starts either, and main reports that.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(move || write(sink, &from, &lost));
        stderr
    }

    /// Waits until all earlier lines are written, but no longer than `longest`.
    pub fn flush(&self, longest: Duration) {
        let (written, when_written) = sync_channel(1);
        let mut left = longest;
        while let Err(TrySendError::Full(_)) = self.to.try_send(Message::Flushed(written.clone())) {
            let Some(less) = left.checked_sub(LOOK) else { return };
            left = less;
            // Nothing is sent on this channel; the receive is a pause.
            let _ = when_written.recv_timeout(LOOK);
        }
        drop(written);
        // The result does not matter: if stderr is not read, the time is over.
        let _ = when_written.recv_timeout(left);
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.to.try_send(Message::Line(line.to_vec())) {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until all senders are dropped.
fn write(mut sink: impl Write, from: &Receiver<Message>, lost: &AtomicU64) {
    for message in from {
        match message {
            // If the disk is full or the pipe closed, the streams continue, and later lines may succeed.
            Message::Line(line) => drop(sink.write_all(&line)),
            Message::Flushed(written) => {
                let _ = written.try_send(());
            }
        }
        let lines = lost.swap(0, Relaxed);
        if lines > 0 {
            // Logged through this channel, so that the line has the log's format.
            tracing::warn!(lines, "log lines were dropped because stderr was not read");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn log_lines_are_in_order_and_written_after_flush() {
        let sink = Sink::default();
        let mut stderr = Stderr::over(sink.clone());
        for number in 0..100 {
            writeln!(stderr, "{number}").unwrap();
        }
        stderr.flush(LONG);
        let wanted: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(sink.0.lock().unwrap().clone()).unwrap(), wanted);
    }

    #[test]
    fn log_to_blocked_sink_delays_nobody_and_counts_lost_lines() {
        let sink = Sink::default();
        let stalled = sink.0.lock().unwrap();
        let mut stderr = Stderr::over(sink.clone());
        let many = WAITING + 1000;
        for _ in 0..many {
            stderr.write_all(b"line\n").unwrap();
        }
        // One more line may have left the channel already.
        let lost = stderr.lost.load(Relaxed);
        assert!((999..=1000).contains(&lost), "{lost}");
        stderr.flush(Duration::from_millis(1));
        drop(stalled);
        stderr.flush(LONG);
        assert_eq!(stderr.lost.load(Relaxed), 0, "what was lost was said");
        stderr.write_all(b"last\n").unwrap();
        stderr.flush(LONG);
        let written = sink.0.lock().unwrap().clone();
        assert!(written.len() < many * 5 && written.ends_with(b"last\n"));
    }
}
