//! What waits unread while the client does not read, and until when arrivals are late because of it.
//!
//! A chunk that was there before we looked came at a time that nobody knows. So did each one right behind it, until
//! we have to wait for one again. Ollama generates meanwhile, so that no time can be taken out of a figure whose
//! tokens stay in.

use std::time::Duration;

/// A stretch from one chunk handed on to the next poll that is longer than this was the client's doing: what
/// passes the body on polls again within microseconds unless its own buffer is full.
pub(super) const HELD_AFTER: Duration = Duration::from_millis(1);
/// With more than this unread, Ollama itself may have been made to wait. The sockets' buffers hold more than this,
/// whatever the size of a record.
const STALLS: usize = 32 << 10;

/// How a stream's arrivals stand to the moments at which its chunks were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was waited for: it came when we saw it.
    #[default]
    Awaited,
    /// It is the first that nobody had looked for.
    Held,
    /// It was behind one that nobody had looked for.
    Behind,
    /// The first that was waited for after those.
    CaughtUp,
}

impl Arrival {
    /// The moment is the chunk's own.
    pub(super) fn is_on_time(self) -> bool {
        matches!(self, Arrival::Awaited | Arrival::CaughtUp)
    }
}

/// Bytes that were there before we looked, since the client last held the stream.
#[derive(Debug, Default)]
pub(super) struct Backlog(Option<usize>);

impl Backlog {
    /// A chunk arrived, `wait` after the one before. `ready`: it was there when we looked.
    pub(super) fn arrived(&mut self, ready: bool, wait: Option<Duration>, bytes: usize) -> Arrival {
        let is_long = wait.is_some_and(|wait| wait > HELD_AFTER);
        let arrival = match self.0 {
            _ if ready && is_long => Arrival::Held,
            None => return Arrival::Awaited,
            // hyper takes a task's turn to hand over the next chunk that it has read, which is no wait for Ollama.
            Some(_) if ready || !is_long => Arrival::Behind,
            Some(_) => {
                self.0 = None;
                return Arrival::CaughtUp;
            }
        };
        self.0 = Some(self.0.unwrap_or_default().saturating_add(bytes));
        arrival
    }

    /// So much waited that Ollama may have waited too.
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
            // Two that came together are no backlog.
            (true, ms(0), Arrival::Awaited),
            (true, ms(200), Arrival::Held),
            (true, ms(0), Arrival::Behind),
            // The task that reads from the socket had its turn in between.
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
