//! Hands generations to the sink, on a thread of its own.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    families::Families,
    stream::{RecordedStream, StreamSink},
};

/// Rows are passed to the operating system at least this often, so that a crash loses at most this time.
const EVERY: Duration = Duration::from_millis(250);

/// A message to the writer.
pub(super) enum StreamMessage {
    Ended(Arc<RecordedStream>),
    /// A request to report that everything before it is written.
    Flushed(oneshot::Sender<()>),
}

/// Writes until all senders are dropped.
pub(super) fn write(sink: Box<dyn StreamSink>, from: &Receiver<StreamMessage>, families: &Families) {
    let mut writer = StreamWriter { sink, families, unflushed: 0, is_failing: false, told: 0 };
    writer.flush();
    loop {
        match from.recv_timeout(EVERY) {
            Ok(StreamMessage::Ended(stream)) => writer.put(&stream),
            Ok(StreamMessage::Flushed(tell)) => {
                writer.flush();
                // The receiver may have waited too long and be gone.
                let _ = tell.send(());
            }
            Err(RecvTimeoutError::Timeout) => writer.flush(),
            Err(RecvTimeoutError::Disconnected) => return writer.flush(),
        }
    }
}

struct StreamWriter<'a> {
    sink: Box<dyn StreamSink>,
    families: &'a Families,
    /// The generations since the last flush.
    unflushed: u64,
    is_failing: bool,
    /// The number of lost generations that the log has told.
    told: u64,
}

/// While generations come without a pause, rows are passed on after so many of them.
const MANY: u64 = 256;

impl StreamWriter<'_> {
    fn put(&mut self, stream: &RecordedStream) {
        match self.sink.write(stream) {
            Ok(()) => self.unflushed += 1,
            Err(error) => self.failed(&error, 1),
        }
        if self.unflushed >= MANY {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let streams = std::mem::take(&mut self.unflushed);
        match self.sink.flush() {
            Ok(stored) => {
                self.families.stored(stored);
                if streams > 0 {
                    self.families.written.inc_by(streams);
                    self.works();
                }
            }
            Err(error) => self.failed(&error, streams),
        }
    }

    fn works(&mut self) {
        self.is_failing = false;
        let lost = self.families.failed.get() + self.families.dropped.get();
        if lost > self.told {
            tracing::warn!(generations = lost - self.told, "generations are missing in the recording");
            self.told = lost;
        }
    }

    fn failed(&mut self, error: &io::Error, streams: u64) {
        self.families.failed.inc_by(streams);
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(%error, "the recording cannot be written: generations are missing in it until it can be");
        }
    }
}
