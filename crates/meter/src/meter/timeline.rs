//! The times of a request.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The times of a stream, each since the request was accepted. A time that was not seen is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeline {
    /// The time at which the upstream had taken the last byte of the request.
    pub sent: Option<Duration>,
    /// The first record.
    pub first_record: Option<Duration>,
    /// The first record with content.
    pub first_content: Option<Duration>,
    /// The last record with content.
    pub last_content: Option<Duration>,
    /// The last record.
    pub last_record: Option<Duration>,
}

/// A time, kept as nanoseconds after a request was accepted. 0: not yet.
#[derive(Debug, Default)]
pub(super) struct Moment(AtomicU64);

impl Moment {
    pub(super) fn set(&self, since_accept: Duration) {
        self.0.store(nanos(since_accept), Relaxed);
    }

    pub(super) fn set_once(&self, since_accept: Duration) {
        // An earlier call must win, so the result is ignored.
        let _ = self.0.compare_exchange(0, nanos(since_accept), Relaxed, Relaxed);
    }

    pub(super) fn get(&self) -> Option<Duration> {
        match self.0.load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}
