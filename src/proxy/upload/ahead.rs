//! The beginning of a body that was read ahead.

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};

use super::budget::Share;

/// Shorter frames are merged, so that a body that arrives byte by byte does not cost a handle for each byte.
const SMALL: usize = 4 << 10;

/// The frames in their order. Large ones are not copied.
#[derive(Debug)]
pub(super) struct Ahead {
    frames: VecDeque<Bytes>,
    /// The small frames at the end, merged.
    small: BytesMut,
    share: Share,
}

impl Ahead {
    pub(super) fn new(share: Share) -> Ahead {
        Ahead { frames: VecDeque::new(), small: BytesMut::new(), share }
    }

    pub(super) const fn share(&self) -> &Share {
        &self.share
    }

    pub(super) fn is_empty(&self) -> bool {
        self.share.held() == 0
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        self.share.hold(frame.len());
        // Most bodies are one frame.
        if frame.len() < SMALL && !self.frames.is_empty() {
            self.small.extend_from_slice(&frame);
            if self.small.len() >= SMALL {
                self.close();
            }
        } else {
            self.close();
            self.frames.push_back(frame);
        }
    }

    fn close(&mut self) {
        if !self.small.is_empty() {
            self.frames.push_back(mem::take(&mut self.small).freeze());
        }
    }

    /// Returns the next frame to forward. The connection owns its memory then.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if self.frames.is_empty() {
            self.close();
        }
        let frame = self.frames.pop_front()?;
        self.share.give_back(frame.len());
        Some(frame)
    }

    /// Returns all frames without copying their bytes.
    pub(super) fn frames(&mut self) -> Vec<Bytes> {
        self.close();
        self.frames.iter().cloned().collect()
    }

    /// The same frames again, if the budget has room for them. Their bytes are not copied, but they stay in memory as
    /// long as the second one.
    pub(super) fn copy(&mut self) -> Option<Ahead> {
        let mut copy = Ahead::new(self.share.another(self.share.held())?);
        copy.replace(self.frames());
        Some(copy)
    }

    /// Replaces all frames.
    pub(super) fn replace(&mut self, frames: Vec<Bytes>) {
        self.share.give_back(self.share.held());
        self.small.clear();
        self.frames = frames.into_iter().filter(|frame| !frame.is_empty()).collect();
        self.share.hold(self.frames.iter().map(Bytes::len).sum());
    }

    /// Inserts bytes at an offset.
    pub(super) fn insert(&mut self, offset: usize, bytes: Bytes) {
        self.close();
        self.share.hold(bytes.len());
        let mut before = offset;
        for at in 0..self.frames.len() {
            let length = self.frames[at].len();
            if before == 0 {
                return self.frames.insert(at, bytes);
            }
            if before < length {
                let behind = self.frames[at].split_off(before);
                self.frames.insert(at + 1, bytes);
                self.frames.insert(at + 2, behind);
                return;
            }
            before -= length;
        }
        self.frames.push_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::{super::budget::Budget, *};

    fn ahead() -> Ahead {
        Ahead::new(Share::of(&Budget::register(1 << 20, &Registry::new()).unwrap()))
    }

    fn rest(mut ahead: Ahead) -> Vec<Bytes> {
        std::iter::from_fn(|| ahead.pop()).collect()
    }

    #[test]
    fn read_ahead_bytes_arriving_one_by_one_become_few_frames() {
        let mut ahead = ahead();
        for _ in 0..3 * SMALL {
            ahead.push(Bytes::from_static(b"a"));
        }
        assert_eq!(ahead.share().held(), 3 * SMALL);
        let frames = rest(ahead);
        assert_eq!(frames.len(), 4, "the first alone, two full, one that is not");
        assert_eq!(frames.concat(), vec![b'a'; 3 * SMALL]);
    }

    #[test]
    fn read_ahead_does_not_copy_large_frame() {
        let mut ahead = ahead();
        let large = Bytes::from(vec![b'a'; SMALL]);
        ahead.push(Bytes::from_static(b"b"));
        ahead.push(Bytes::from_static(b"c"));
        ahead.push(large.clone());
        assert!(!ahead.is_empty());
        let frames = rest(ahead);
        assert_eq!(frames[..2].concat(), b"bc");
        assert_eq!(frames[2].as_ptr(), large.as_ptr());
    }

    #[test]
    fn insertion_at_any_offset_lies_between_its_neighbours() {
        for offset in 0..=9 {
            let mut ahead = ahead();
            for frame in [&b"abcd"[..], b"e", b"f", b"ghi"] {
                ahead.push(Bytes::from_static(frame));
            }
            ahead.insert(offset, Bytes::from_static(b"XY"));
            let mut expected = b"abcdefghi".to_vec();
            expected.splice(offset..offset, *b"XY");
            assert_eq!(ahead.share().held(), expected.len());
            let frames = rest(ahead);
            assert!(frames.iter().all(|frame| !frame.is_empty()));
            assert_eq!(frames.concat(), expected, "{offset}");
        }
    }
}
