//! Without the feature `coding` nothing coded is edited.

use super::{Coding, Undecodable};

pub(crate) enum Insertion {}

impl Insertion {
    pub(crate) const fn new(_: Coding, _: u8, _: u64, _: &'static [u8]) -> Option<Insertion> {
        None
    }

    pub(crate) const fn push(&mut self, _: &[u8]) -> Result<Vec<u8>, Undecodable> {
        match *self {}
    }

    pub(crate) const fn finish(self) -> Result<Vec<u8>, Undecodable> {
        match self {}
    }
}
