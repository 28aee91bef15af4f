//! Records that wait to be sent, and the templates from which they are made.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::stamp::Stamp;

/// A record without its token, and without the timestamp or number next to the token.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub(super) before: String,
    pub(super) mark: Mark,
    pub(super) between: String,
    pub(super) after: String,
}

/// The content that is inserted at [`Template::between`], next to the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    #[default]
    Nothing,
    /// The present time, before the token.
    Stamp,
    /// The number of the event, after the token.
    Sequence,
}

/// A part of a body that is sent at once.
#[derive(Debug)]
pub(super) enum Piece {
    Chunk(Bytes),
    /// A short pause, so that two chunks are not sent together.
    Gap,
}

/// The pieces that are ready, and the buffer for the next ones.
#[derive(Debug)]
pub(super) struct Frames {
    pieces: VecDeque<Piece>,
    /// The buffer is used again when the chunks that were split off it are gone.
    buffer: BytesMut,
    stamp: Stamp,
    sequence: u64,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            pieces: VecDeque::with_capacity(4),
            buffer: BytesMut::with_capacity(1024),
            stamp: Stamp::new(),
            sequence: 0,
        }
    }

    pub(super) fn pop(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// Returns the number of the next event, from 0.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    /// Adds a record as one chunk, together with the held records.
    pub(super) fn push(&mut self, record: &str) {
        self.write(record);
        self.flush();
    }

    /// Holds a record. It is sent in one chunk with the next record.
    pub(super) fn write(&mut self, record: &str) {
        self.buffer.extend_from_slice(record.as_bytes());
    }

    /// Holds a record made from a template.
    pub(super) fn hold(&mut self, template: &Template, token: &str) {
        self.buffer.reserve(template.before.len() + template.between.len() + template.after.len() + 64);
        self.buffer.extend_from_slice(template.before.as_bytes());
        if template.mark == Mark::Sequence {
            let number = self.next_sequence();
            self.write(token);
            self.write(&template.between);
            self.write(&number.to_string());
        } else {
            if template.mark == Mark::Stamp {
                self.stamp.write_now(&mut self.buffer);
            }
            self.write(&template.between);
            self.write(token);
        }
        self.write(&template.after);
    }

    /// Sends the held records as one chunk.
    pub(super) fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.pieces.push_back(Piece::Chunk(self.buffer.split().freeze()));
        }
    }

    /// Adds a short pause between the chunk before and the chunk after.
    pub(super) fn push_gap(&mut self) {
        self.pieces.push_back(Piece::Gap);
    }

    /// Sends the held records as two chunks with a pause between them.
    pub(super) fn flush_split(&mut self) {
        let half = self.buffer.len() / 2;
        if half > 0 {
            self.pieces.push_back(Piece::Chunk(self.buffer.split_to(half).freeze()));
            self.push_gap();
        }
        self.flush();
    }
}
