//! Writes the lines, on a thread of its own.

use std::{
    io::{self, Write},
    sync::{Arc, mpsc::Receiver},
    time::SystemTime,
};

use prometheus::IntCounter;
use tokio::sync::oneshot;

use super::{
    config::{LineFormat, Sink},
    line::line,
};
use crate::meter::Ending;

/// A message to the writer.
pub(super) enum QueuedLine {
    /// A request ended at this time.
    Ended(SystemTime, Box<Ending>),
    /// A request to report that all earlier lines are written.
    Flushed(oneshot::Sender<()>),
}

/// The counters of the lines.
pub(super) struct Results {
    pub(super) written: Arc<IntCounter>,
    /// The lines that the sink did not take.
    pub(super) failed: Arc<IntCounter>,
    /// The lines for which the queue had no room.
    pub(super) dropped: Arc<IntCounter>,
}

/// Writes lines until all senders are dropped.
pub(super) fn write(sink: Sink, format: LineFormat, from: &Receiver<QueuedLine>, results: &Results) {
    let mut lines = SinkWriter { sink, is_torn: false, is_failing: false, told: 0 };
    for message in from {
        match message {
            QueuedLine::Ended(at, ending) => lines.put(&line(format, at, &ending), results),
            QueuedLine::Flushed(tell) => {
                // The receiver may have waited too long and be gone.
                let _ = tell.send(());
            }
        }
    }
}

struct SinkWriter {
    sink: Sink,
    /// A part of the last line may have been written.
    is_torn: bool,
    is_failing: bool,
    /// The number of lost lines that the log of the sidecar has told.
    told: u64,
}

impl SinkWriter {
    fn put(&mut self, line: &str, results: &Results) {
        match self.write(line.as_bytes()) {
            Ok(()) => {
                results.written.inc();
                self.is_failing = false;
                let lost = results.failed.get() + results.dropped.get();
                if lost > self.told {
                    tracing::warn!(lines = lost - self.told, "lines of the request log were lost");
                    self.told = lost;
                }
            }
            Err(error) => {
                results.failed.inc();
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "the request log cannot be written: its lines are lost until it can be");
                }
            }
        }
    }

    /// Ends what is left of a line that could not be written, so that this one has a line of its own.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.sink.write_all(b"\n")?;
        }
        self.is_torn = true;
        self.sink.write_all(line)?;
        self.sink.flush()?;
        self.is_torn = false;
        Ok(())
    }
}
