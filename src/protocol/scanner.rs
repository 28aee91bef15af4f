//! Bytes in any split, records out.

use super::{Dialect, Record, Unscanned};

/// The longest record that is scanned, bytes. A longer one is forwarded and counted.
pub const MAX_RECORD: usize = 8 << 20;

/// How the records of a body are set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value a line (`application/x-ndjson`).
    Ndjson,
    /// Server-sent events (`text/event-stream`).
    Sse,
    /// The whole body is one JSON value (`application/json`).
    Json,
}

/// What the scanner found at the end of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A record.
    Record(Record),
    /// A record that was passed over.
    Unscanned(Unscanned),
}

/// An incremental scanner. It takes any split of the bytes and allocates nothing in the steady state.
#[derive(Debug)]
pub struct Scanner {}

impl Scanner {
    /// A scanner for one body.
    #[must_use]
    pub fn new(_framing: Framing, _dialect: Dialect) -> Scanner {
        Scanner {}
    }

    /// Takes the next bytes and tells each record that they complete, in order.
    pub fn scan(&mut self, _bytes: &[u8], _tell: impl FnMut(Scan)) {}

    /// The body is at its end: tells what was left without its terminator.
    pub fn finish(&mut self, _tell: impl FnMut(Scan)) {}
}
