//! Assembles a record that comes in pieces.

/// The longest record that is scanned, bytes. A longer one is forwarded and counted.
pub(super) const MAX_RECORD: usize = 8 << 20;

/// A larger buffer is freed after use, so that one long record does not occupy its size until the stream ends.
const KEPT: usize = 64 << 10;

/// A result of framing.
#[derive(Debug)]
pub(super) enum Framed<'a> {
    /// The text of a record, without its delimiter.
    Text(&'a [u8]),
    /// A record longer than [`MAX_RECORD`]. It is reported once, as soon as its length is known.
    TooLong,
}

/// The beginning of a record whose end has not come. It is empty and unused while each record comes in one piece.
#[derive(Debug, Default)]
pub(super) struct Gather {
    held: Vec<u8>,
    is_too_long: bool,
}

impl Gather {
    /// Holds a piece of a record that continues. Beyond [`MAX_RECORD`] it holds nothing until the record ends.
    pub(super) fn hold(&mut self, piece: &[u8], found: impl FnOnce(Framed<'_>)) {
        if self.is_too_long || piece.is_empty() {
            return;
        }
        let length = self.held.len() + piece.len();
        if length > MAX_RECORD {
            self.is_too_long = true;
            self.held = Vec::new();
            return found(Framed::TooLong);
        }
        if length > self.held.capacity() {
            // The capacity doubles, up to the maximum.
            let capacity = (2 * self.held.capacity()).clamp(length, MAX_RECORD);
            self.held.reserve_exact(capacity - self.held.len());
        }
        self.held.extend_from_slice(piece);
    }

    /// Ends a record with its last piece, and prepares for the next one. A record in one piece is not copied.
    pub(super) fn end(&mut self, piece: &[u8], found: impl FnOnce(Framed<'_>)) {
        if self.is_too_long {
            self.is_too_long = false;
        } else if self.held.is_empty() {
            found(if piece.len() > MAX_RECORD { Framed::TooLong } else { Framed::Text(piece) });
        } else if self.held.len() + piece.len() > MAX_RECORD {
            self.held = Vec::new();
            found(Framed::TooLong);
        } else {
            self.hold(piece, |_| {});
            found(Framed::Text(&self.held));
            empty(&mut self.held);
        }
    }

    /// Returns the allocated bytes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.held.capacity()
    }
}

/// Empties a buffer for its next use, and frees a large one.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}
