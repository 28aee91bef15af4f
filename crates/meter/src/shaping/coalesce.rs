//! Records held for a moment and written as one chunk.
//!
//! What is held leaves at the next beat, one for all streams: a client that reads many of them wakes once for all
//! that there is, which costs it less than the records do.

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use prometheus::Counter;
use tokio::time::{Instant, Sleep};

use super::{
    families::{Families, Held, Tally},
    layer::{Layer, Stage},
};
use crate::protocol::{Dialect, Framing, Kind, Scan, Scanner};

/// How long and how much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest that a byte waits.
    pub delay: Duration,
    /// The most that waits, bytes; the chunk that reaches it goes too.
    pub bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { delay: Duration::from_millis(50), bytes: 1 << 10 }
    }
}

/// A body whose bytes come in fewer, larger chunks; bytes and order are what they were.
///
/// The first content record, the last record and an error never wait. A stall of the model flushes: nothing
/// waits longer than the delay.
pub type Coalesce<B> = Layer<B, Coalescing>;

/// Holds chunks until they are due.
#[derive(Debug)]
pub struct Coalescing {
    config: Config,
    /// A beat; the others are whole delays apart from it.
    beat: Instant,
    scanner: Scanner,
    chunks: Vec<Bytes>,
    /// When the first of them came.
    since: Option<Instant>,
    /// The first content record has come.
    begun: bool,
    /// What is held must not wait.
    is_due: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    held: Held,
    /// Arrival of each record held, summed from `since`: what the sum of their delays lacks.
    records: u64,
    offsets: Duration,
    delay: Arc<Counter>,
    tally: Tally,
}

impl Coalescing {
    pub(super) fn new(
        format: (Framing, Dialect),
        config: Config,
        beat: Instant,
        families: &Families,
        tally: Tally,
    ) -> Coalescing {
        Coalescing {
            config,
            beat,
            scanner: Scanner::new(format.0, format.1),
            chunks: Vec::new(),
            since: None,
            begun: false,
            is_due: false,
            sleep: None,
            held: Held::new(families),
            records: 0,
            offsets: Duration::ZERO,
            delay: families.coalesce_delay.clone(),
            tally,
        }
    }

    fn scan(&mut self, step: impl FnOnce(&mut Scanner, &mut dyn FnMut(Scan))) -> u64 {
        let Coalescing { scanner, begun, is_due, .. } = self;
        let mut records = 0;
        step(scanner, &mut |scan| {
            let Scan::Record(record) = scan else { return };
            records += 1;
            if record.has_content && !std::mem::replace(begun, true) {
                *is_due = true;
            }
            if matches!(record.kind, Kind::Terminal | Kind::Error) {
                *is_due = true;
            }
        });
        self.tally.came(records);
        records
    }

    /// The first beat after some time: at most the delay later.
    fn next_beat(&self, time: Instant) -> Instant {
        let delay = self.config.delay.as_nanos().max(1);
        let into = time.duration_since(self.beat).as_nanos() % delay;
        // What is left of a delay, which has far fewer nanoseconds than 64 bits count.
        time + Duration::from_nanos(u64::try_from(delay - into).unwrap_or(u64::MAX))
    }

    /// All that is held as one chunk; a lone one is not copied.
    fn flush(&mut self) -> Bytes {
        let length = self.held.bytes();
        self.held.take(length);
        self.is_due = false;
        if let Some(since) = self.since.take() {
            let delay = since.elapsed().as_secs_f64() * self.records as f64 - self.offsets.as_secs_f64();
            self.delay.inc_by(delay.max(0.0));
        }
        self.tally.left(std::mem::take(&mut self.records));
        self.offsets = Duration::ZERO;
        if self.chunks.len() == 1 {
            return self.chunks.pop().expect("there is one");
        }
        let mut joined = BytesMut::with_capacity(length);
        for chunk in self.chunks.drain(..) {
            joined.extend_from_slice(&chunk);
        }
        joined.freeze()
    }
}

impl Stage for Coalescing {
    const KEEPS_BYTES: bool = true;

    fn has_room(&self) -> bool {
        self.held.bytes() < self.config.bytes
    }

    fn take(&mut self, data: Bytes) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let records = self.scan(|scanner, tell| scanner.scan(&data, tell));
        self.records += records;
        let offset = now.duration_since(since);
        self.offsets += offset.saturating_mul(u32::try_from(records).unwrap_or(u32::MAX));
        self.held.add(data.len());
        self.chunks.push(data);
    }

    fn finish(&mut self) {
        self.records += self.scan(|scanner, tell| scanner.finish(tell));
        if self.chunks.is_empty() {
            // The record that ended only now has left already.
            self.tally.left(std::mem::take(&mut self.records));
        }
        self.is_due = true;
    }

    fn poll_give(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if !self.is_due && self.has_room() {
            let since = self.since.expect("what is held has come at some time");
            let until = self.next_beat(since);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if sleep.deadline() != until {
                sleep.as_mut().reset(until);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.flush())
    }

    fn held(&self) -> usize {
        self.held.bytes()
    }

    fn least(&self, to_come: u64) -> u64 {
        to_come.saturating_add(self.held.bytes() as u64)
    }
}
