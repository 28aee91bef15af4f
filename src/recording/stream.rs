//! A generation that ended, and where it is recorded.

use std::io;

use tokio::time::Instant;

use crate::meter::{Ending, KeptChunks};

/// A generation that ended. It has no content.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordedStream {
    /// The time at which its request was accepted.
    pub accepted: Instant,
    /// How it ended.
    pub ending: Ending,
    /// The chunks of its response. A response that is no stream has chunks too, without the number of streams.
    pub chunks: KeptChunks,
}

impl RecordedStream {
    pub(crate) fn new(accepted: Instant, ending: Ending, chunks: KeptChunks) -> RecordedStream {
        RecordedStream { accepted, ending, chunks }
    }
}

/// The contents of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Bytes on the disk.
    pub bytes: u64,
    /// The parts that were removed so far, because the sink was full.
    pub removed: u64,
}

/// Where generations are recorded. A thread of its own calls it.
pub trait StreamSink: Send + 'static {
    /// Records a generation.
    ///
    /// # Errors
    /// It cannot be recorded, and is lost.
    fn write(&mut self, stream: &RecordedStream) -> io::Result<()>;

    /// Passes everything to the operating system, and returns what is stored.
    ///
    /// # Errors
    /// The generations since the last call may be lost.
    fn flush(&mut self) -> io::Result<Stored>;
}
