//! The blobs of models.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// The digests of the existing blobs. Their bytes are counted and discarded.
#[derive(Debug, Default)]
pub(super) struct Blobs(Mutex<HashSet<String>>);

impl Blobs {
    pub(super) fn contains(&self, digest: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    pub(super) fn add(&self, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned());
    }
}
