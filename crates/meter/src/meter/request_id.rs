//! The identity of a request.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The id of a request: 16 hexadecimal digits. The first eight are random for each start of the process, and the others
/// count its requests from 1, so that the ids of a process are in the order of acceptance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// Returns the id as a number, for programs that store numbers.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Creates the ids of one process.
#[derive(Debug)]
pub(super) struct RequestIds(AtomicU64);

impl RequestIds {
    pub(super) fn next(&self) -> RequestId {
        RequestId(self.0.fetch_add(1, Relaxed).wrapping_add(1))
    }
}

impl Default for RequestIds {
    fn default() -> RequestIds {
        // The standard library seeds each state from the system's random numbers.
        RequestIds(AtomicU64::new(RandomState::new().hash_one(()) << 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_process_count_and_those_of_two_differ() {
        let (one, other) = (RequestIds::default(), RequestIds::default());
        let first = one.next().to_string();
        assert_eq!((first.len(), &first[8..]), (16, "00000001"));
        assert_eq!(one.next().to_string(), format!("{}00000002", &first[..8]));
        assert_ne!(other.next().to_string()[..8], first[..8]);
    }
}
