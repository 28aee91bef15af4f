//! The whole lines of a file, without the file in memory.

use std::io::{self, Read};

/// The number of bytes that are read at once.
const BLOCK: usize = 256 << 10;
/// A longer line is not a row of a recording.
const LINE: usize = 64 << 20;

/// Passes on whole lines. A last line without an end may lack digits too, and it would still look valid, so it is
/// withheld.
#[derive(Debug)]
pub(super) struct WholeLines<R> {
    source: R,
    /// Bytes that were read and not passed on.
    held: Vec<u8>,
    /// The part of them that was passed on.
    passed: usize,
    /// The part of them that ends with a line.
    whole: usize,
    ended: bool,
}

impl<R: Read> WholeLines<R> {
    pub(super) fn new(source: R) -> WholeLines<R> {
        WholeLines { source, held: Vec::new(), passed: 0, whole: 0, ended: false }
    }

    /// Returns whether the file ended in the middle of a line.
    pub(super) fn is_cut_off(&self) -> bool {
        self.ended && self.held.len() > self.whole
    }

    /// Returns whether the reader of the lines has asked for more than there are.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads until a line ends.
    fn fill(&mut self) -> io::Result<()> {
        self.held.drain(..self.passed);
        (self.passed, self.whole) = (0, 0);
        while self.whole == 0 {
            let before = self.held.len();
            if before > LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line has more than 64 MiB"));
            }
            self.held.resize(before + BLOCK, 0);
            let read = self.source.read(&mut self.held[before..]);
            self.held.truncate(before + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                self.ended = true;
                return Ok(());
            }
            let end = memchr::memrchr(b'\n', &self.held[before..]);
            self.whole = end.map_or(0, |end| before + end + 1);
        }
        Ok(())
    }
}

impl<R: Read> Read for WholeLines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.passed == self.whole && !self.ended {
            self.fill()?;
        }
        let ready = &self.held[self.passed..self.whole];
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.passed += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn whole_lines_are_passed_on_and_a_line_that_is_cut_off_is_withheld() {
        for (text, expected, cut) in
            [("a\nb\nc", "a\nb\n", true), ("a\nb\n", "a\nb\n", false), ("", "", false), ("a", "", true)]
        {
            let mut at_once = WholeLines::new(text.as_bytes());
            let mut read = String::new();
            at_once.read_to_string(&mut read).unwrap();
            assert_eq!((read.as_str(), at_once.is_cut_off()), (expected, cut));
            let mut slow = WholeLines::new(Slow(text.as_bytes()));
            let mut read = String::new();
            slow.read_to_string(&mut read).unwrap();
            assert_eq!((read.as_str(), slow.is_cut_off()), (expected, cut));
        }
    }
}
