//! NDJSON: one record per line.

use memchr::memchr;

use super::gather::{Framed, Gather};

/// Separates lines. A carriage return before the newline is white space in JSON, so it stays.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) gather: Gather,
}

impl Lines {
    pub(super) fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(Framed<'_>)) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.gather.end(&bytes[..end], &mut found);
            bytes = &bytes[end + 1..];
        }
        self.gather.hold(bytes, found);
    }
}
