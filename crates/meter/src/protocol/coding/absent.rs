//! Without the feature `coding`, no coded body is edited.

use super::{Coding, Undecodable};

/// An edit of a coded body. It cannot exist.
pub enum Insertion {}

impl Insertion {
    /// Always `None`.
    pub const fn new(_: Coding, _: u8, _: u64, _: &'static [u8]) -> Option<Insertion> {
        None
    }

    /// Takes the next bytes of the body.
    pub const fn push(&mut self, _: &[u8]) -> Result<Vec<u8>, Undecodable> {
        match *self {}
    }

    /// Ends the body.
    pub const fn finish(self) -> Result<Vec<u8>, Undecodable> {
        match self {}
    }
}
