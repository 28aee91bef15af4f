//! Records on their way out, and the templates they are cut from.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::stamp::Stamp;

/// A record but for its token, and for the moment or the number that stands beside it.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub(super) before: String,
    pub(super) mark: Mark,
    pub(super) between: String,
    pub(super) after: String,
}

/// What goes on the other side of [`Template::between`] than the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    #[default]
    Nothing,
    /// The present moment, before the token.
    Stamp,
    /// The number of the event, after the token.
    Sequence,
}

/// A part of a body that leaves as one.
#[derive(Debug)]
pub(super) enum Piece {
    Chunk(Bytes),
    /// A moment of nothing, so that two chunks do not travel together.
    Gap,
}

/// The pieces that are ready, and the buffer that the next ones are written to.
#[derive(Debug)]
pub(super) struct Frames {
    pieces: VecDeque<Piece>,
    /// Reused as soon as the chunks split off it are gone.
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

    /// The number of the next event, from 0.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    /// A record as one chunk, with what is held before it.
    pub(super) fn push(&mut self, record: &str) {
        self.write(record);
        self.flush();
    }

    /// Holds a record: it leaves in one chunk with the next.
    pub(super) fn write(&mut self, record: &str) {
        self.buffer.extend_from_slice(record.as_bytes());
    }

    /// Holds a record that is cut from a template.
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

    /// Lets what is held go, as one chunk.
    pub(super) fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.pieces.push_back(Piece::Chunk(self.buffer.split().freeze()));
        }
    }

    /// Lets a moment pass between the chunks before and after.
    pub(super) fn push_gap(&mut self) {
        self.pieces.push_back(Piece::Gap);
    }

    /// Lets what is held go, as two chunks with a gap between.
    pub(super) fn flush_split(&mut self) {
        let half = self.buffer.len() / 2;
        if half > 0 {
            self.pieces.push_back(Piece::Chunk(self.buffer.split_to(half).freeze()));
            self.push_gap();
        }
        self.flush();
    }
}
