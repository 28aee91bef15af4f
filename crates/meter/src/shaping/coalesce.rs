//! Holds records for a short time, and writes them as one chunk.
//!
//! Held records are sent at the next beat, which all streams share. A client that reads many streams then wakes once
//! for all of them, and a wake-up costs it more than the records do.

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
    families::{Families, Held, RecordTally},
    layer::{Layer, Stage},
};
use crate::protocol::{Dialect, Framing, Kind, Scan, Scanner};

/// How long and how much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest time that a byte waits.
    pub delay: Duration,
    /// The maximum number of bytes that wait. The chunk that reaches it is sent too.
    pub bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { delay: Duration::from_millis(50), bytes: 1 << 10 }
    }
}

/// A body whose bytes come in fewer, larger chunks. Bytes and order stay the same.
///
/// The first content record, the last record and an error never wait. If the model stalls, the held records are sent:
/// no record waits longer than the delay.
///
/// ```
/// # use bytes::Bytes;
/// # use http_body::Frame;
/// # use http_body_util::{BodyExt, StreamBody};
/// # use prometheus::Registry;
/// use streamgauge_meter::shaping::{Config, Families, Shaping, Stream, coalesce};
/// # use streamgauge_meter::protocol::{Dialect, Framing, Route};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let records = [
///     "{\"response\":\"a\",\"done\":false}\n",
///     "{\"response\":\"b\",\"done\":false}\n",
///     "{\"response\":\"c\",\"done\":false}\n",
///     "{\"done\":true,\"eval_count\":3}\n",
/// ];
/// # let frames = records.map(|record| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(record))));
/// # let body = StreamBody::new(futures_util::stream::iter(frames));
/// # let stream = Stream {
/// #     route: Route::Generate,
/// #     dialect: Dialect::Ollama,
/// #     framing: Some(Framing::Ndjson),
/// #     caller: "anonymous",
/// #     pace: None,
/// #     upstream: "ollama",
/// #     strip_usage: false,
/// # };
/// let config = Config { coalesce: Some(coalesce::Config::default()), ..Config::default() };
/// let shaping = Shaping::new(Families::register(&Registry::new())?, config);
/// let mut body = shaping.wrap(&stream, body);
/// let first = body.frame().await.unwrap()?.into_data().unwrap();
/// assert_eq!(first, records[0]);
/// // All others came within 50 ms.
/// let second = body.frame().await.unwrap()?.into_data().unwrap();
/// assert_eq!(second, records[1..].concat());
/// # Ok(())
/// # }
/// ```
pub type Coalesce<B> = Layer<B, Coalescing>;

/// Holds chunks until they are due.
#[derive(Debug)]
pub struct Coalescing {
    config: Config,
    /// One beat. The others are whole multiples of the delay apart.
    beat: Instant,
    scanner: Scanner,
    chunks: Vec<Bytes>,
    /// When the first held chunk came.
    since: Option<Instant>,
    /// Whether the first content record has come.
    begun: bool,
    /// Whether the held chunks must be sent at once.
    is_due: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    held: Held,
    /// The arrival times of the held records, summed relative to `since`. With them, the sum of their delays is
    /// calculated.
    records: u64,
    offsets: Duration,
    delay: Arc<Counter>,
    tally: RecordTally,
}

impl Coalescing {
    pub(super) fn new(
        format: (Framing, Dialect),
        config: Config,
        beat: Instant,
        families: &Families,
        tally: RecordTally,
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

    /// Returns the first beat after a time: at most the delay later.
    fn next_beat(&self, time: Instant) -> Instant {
        let delay = self.config.delay.as_nanos().max(1);
        let into = time.duration_since(self.beat).as_nanos() % delay;
        // The rest of a delay has far fewer nanoseconds than 64 bits can count.
        time + Duration::from_nanos(u64::try_from(delay - into).unwrap_or(u64::MAX))
    }

    /// Returns all held bytes as one chunk. A single chunk is not copied.
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
            // The record that ended with this chunk was not held.
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
