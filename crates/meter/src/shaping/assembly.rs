//! Assembles whole records from chunks in any split.

use std::mem;

use bytes::{Bytes, BytesMut};

use crate::protocol::{Dialect, Framing, Piece, Splitter};

/// The maximum beginning of a record that is held, bytes. A longer record passes in pieces.
const MAX_HELD: usize = 256 << 10;

/// A part of a body.
#[derive(Debug)]
pub(super) enum Part {
    /// A whole record, or the bytes between two records, with its end.
    Whole(Bytes, Piece),
    /// A piece of a record that is too long to hold.
    Loose(Bytes),
}

/// Assembles records. A record in one piece is not copied.
#[derive(Debug)]
pub(super) struct Assembly {
    splitter: Splitter,
    open: BytesMut,
    /// Whether the current record passes in pieces.
    is_loose: bool,
}

impl Assembly {
    pub(super) fn new(format: (Framing, Dialect)) -> Assembly {
        Assembly { splitter: Splitter::new(format.0, format.1), open: BytesMut::new(), is_loose: false }
    }

    /// Returns the bytes of a record whose end has not come.
    pub(super) fn held(&self) -> usize {
        self.open.len()
    }

    /// Passes the parts that these bytes complete to `tell`, in order.
    pub(super) fn take(&mut self, data: &Bytes, mut tell: impl FnMut(Part)) {
        let Assembly { splitter, open, is_loose } = self;
        splitter.split(data, |range, piece| {
            let bytes = data.slice(range);
            let is_open = piece == Piece::Open;
            if *is_loose {
                *is_loose = is_open;
                tell(Part::Loose(bytes));
            } else if is_open {
                open.extend_from_slice(&bytes);
                if open.len() > MAX_HELD {
                    *is_loose = true;
                    tell(Part::Loose(mem::take(open).freeze()));
                }
            } else if open.is_empty() {
                tell(Part::Whole(bytes, piece));
            } else {
                open.extend_from_slice(&bytes);
                tell(Part::Whole(mem::take(open).freeze(), piece));
            }
        });
    }

    /// Ends the body, and reports the part that was left open.
    pub(super) fn finish(&mut self, tell: impl FnOnce(Part)) {
        let piece = self.splitter.finish();
        if !self.open.is_empty() {
            tell(Part::Whole(mem::take(&mut self.open).freeze(), piece));
        }
    }
}
