//! Finds the ends of records in the bytes of a body.

#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::{
    Dialect, Record,
    scanner::{Framing, Scan, Scanner},
};

/// How a run of bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// In the middle of a record, which continues with the next bytes.
    Open,
    /// With the end of a record that was understood.
    Record(Record),
    /// With something that is not a record (a blank line, a comment) or was not understood.
    Other,
}

/// Cuts bytes in any split into runs that each belong to one record, its delimiter included, and reads the record at
/// its end. It allocates as much as [`Scanner`].
///
/// The runs, joined again, are the bytes of the body.
#[derive(Debug)]
pub struct Splitter {
    scanner: Scanner,
    edge: Edge,
}

/// Finds the end of a record.
#[derive(Debug)]
enum Edge {
    Line,
    Event {
        /// Whether the current line has bytes.
        in_line: bool,
        /// The last byte was a CR, so an LF that follows belongs to it.
        after_cr: Option<Cr>,
    },
    /// The whole body is one record.
    Body,
}

/// The line or event that a CR ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cr {
    Line,
    Event,
}

impl Splitter {
    /// Creates a splitter for one body.
    #[must_use]
    pub fn new(framing: Framing, dialect: Dialect) -> Splitter {
        let edge = match framing {
            Framing::Ndjson => Edge::Line,
            Framing::Sse => Edge::Event { in_line: false, after_cr: None },
            Framing::Json => Edge::Body,
        };
        Splitter { scanner: Scanner::new(framing, dialect), edge }
    }

    /// Passes the runs of the next bytes to `tell`, in order. No run is empty.
    pub fn split(&mut self, bytes: &[u8], mut tell: impl FnMut(Range<usize>, Piece)) {
        let mut start = 0;
        while start < bytes.len() {
            let length = self.edge.find(&bytes[start..]);
            let end = length.map_or(bytes.len(), |length| start + length);
            let mut piece = if length.is_some() { Piece::Other } else { Piece::Open };
            self.scanner.scan(&bytes[start..end], |scan| {
                // A record that is too long is reported as soon as its length is known, and ends later.
                if let (Scan::Record(record), Some(_)) = (scan, length) {
                    piece = Piece::Record(record);
                }
            });
            tell(start..end, piece);
            start = end;
        }
    }

    /// Ends the body. Returns how its open run ends.
    pub fn finish(&mut self) -> Piece {
        let mut piece = Piece::Other;
        self.scanner.finish(|scan| {
            if let Scan::Record(record) = scan {
                piece = Piece::Record(record);
            }
        });
        piece
    }
}

impl Edge {
    /// Returns the number of bytes up to and including the end of the record. `None`: the record continues.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Edge::Line => memchr(b'\n', bytes).map(|newline| newline + 1),
            Edge::Event { in_line, after_cr } => find_blank_line(bytes, in_line, after_cr),
            Edge::Body => None,
        }
    }
}

/// Returns the number of bytes up to and including a blank line. A late LF, after the CR that ended the last event,
/// is a run of its own, so it does not wait for the next event.
fn find_blank_line(bytes: &[u8], in_line: &mut bool, after_cr: &mut Option<Cr>) -> Option<usize> {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let Some(ended) = after_cr.take().filter(|_| byte == b'\n') {
            at += 1;
            match ended {
                Cr::Line => continue,
                Cr::Event => return Some(at),
            }
        }
        let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else {
            *in_line = true;
            return None;
        };
        let is_blank = length == 0 && !*in_line;
        at += length + 1;
        let is_cr = bytes[at - 1] == b'\r';
        *in_line = false;
        *after_cr = is_cr.then_some(if is_blank { Cr::Event } else { Cr::Line });
        if is_blank {
            if is_cr && bytes.get(at) == Some(&b'\n') {
                *after_cr = None;
                at += 1;
            }
            return Some(at);
        }
    }
    None
}
