//! The chunks that wait while the client does not read, and the time until which arrivals are late because of it.
//!
//! If a chunk was already there when the sidecar looked, its arrival time is unknown. The same holds for each chunk
//! directly behind it, until the sidecar has to wait for one again. Ollama generates during that time, so no time can
//! be subtracted from a figure that contains the tokens.

use std::time::Duration;

/// If the time between passing on a chunk and the next poll is longer than this, the client caused it. The HTTP
/// server polls again within microseconds, unless its own buffer is full.
pub(super) const HELD_AFTER: Duration = Duration::from_millis(1);
/// With more unread bytes than this, Ollama may have had to wait. The buffers of the sockets hold more than this,
/// whatever the size of a record.
const STALLS: usize = 32 << 10;

/// How the arrival time of a chunk relates to the time at which Ollama sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The sidecar waited for the chunk, so its arrival time is known.
    #[default]
    Awaited,
    /// The first chunk that was there before the sidecar looked.
    Held,
    /// A chunk behind such a chunk.
    Behind,
    /// The first chunk after those for which the sidecar waited.
    CaughtUp,
}

impl Arrival {
    /// Whether the arrival time is that of the chunk itself.
    pub(super) fn is_on_time(self) -> bool {
        matches!(self, Arrival::Awaited | Arrival::CaughtUp)
    }
}

/// The bytes that were there before the sidecar looked, since the client last held the stream.
#[derive(Debug, Default)]
pub(super) struct Backlog(Option<usize>);

impl Backlog {
    /// Notes the arrival of a chunk, `wait` after the one before. `ready`: it was already there when the sidecar
    /// looked.
    pub(super) fn arrived(&mut self, ready: bool, wait: Option<Duration>, bytes: usize) -> Arrival {
        let is_long = wait.is_some_and(|wait| wait > HELD_AFTER);
        let arrival = match self.0 {
            _ if ready && is_long => Arrival::Held,
            None => return Arrival::Awaited,
            // hyper needs a turn of its task to pass on the next chunk that it has read. That is not a wait for
            // Ollama.
            Some(_) if ready || !is_long => Arrival::Behind,
            Some(_) => {
                self.0 = None;
                return Arrival::CaughtUp;
            }
        };
        self.0 = Some(self.0.unwrap_or_default().saturating_add(bytes));
        arrival
    }

    /// Whether so much was unread that Ollama may have had to wait.
    pub(super) fn stalls(&self) -> bool {
        self.0.is_some_and(|bytes| bytes > STALLS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn chunks_behind_a_held_chunk_are_late_until_reader_waits() {
        let mut backlog = Backlog::default();
        let arrivals = [
            (false, None, Arrival::Awaited),
            (false, ms(20), Arrival::Awaited),
            // Two chunks that came together are not a backlog.
            (true, ms(0), Arrival::Awaited),
            (true, ms(200), Arrival::Held),
            (true, ms(0), Arrival::Behind),
            // The task that reads from the socket ran in between.
            (false, ms(0), Arrival::Behind),
            (true, ms(5), Arrival::Held),
            (false, ms(0), Arrival::Behind),
            (false, ms(20), Arrival::CaughtUp),
            (false, ms(20), Arrival::Awaited),
        ];
        for (number, (ready, wait, arrival)) in arrivals.into_iter().enumerate() {
            assert_eq!(backlog.arrived(ready, wait, 100), arrival, "{number}");
        }
    }

    #[test]
    fn backlog_larger_than_socket_buffers_stalls_and_smaller_does_not() {
        let mut backlog = Backlog::default();
        backlog.arrived(true, ms(200), STALLS);
        assert!(!backlog.stalls());
        backlog.arrived(true, ms(0), 1);
        assert!(backlog.stalls());
        backlog.arrived(false, ms(20), 1);
        assert!(!backlog.stalls(), "it has caught up");
        backlog.arrived(true, ms(200), 1);
        assert!(!backlog.stalls(), "another one begins at nothing");
    }
}
