//! Delivers records at a steady pace.
//!
//! A pace slows down delivery, not the model: Ollama continues to generate until the buffers between are full.

mod gate;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use prometheus::{Counter, Gauge};
use tokio::time::Instant;

use super::{
    families::{Families, Held, RecordTally},
    layer::{Layer, Stage},
    rate::Rate,
};
use crate::protocol::{Dialect, Framing, Piece, Splitter};
use gate::Gate;

/// The cost of a piece in addition to its bytes, so that many small pieces obey the limit too.
const PIECE: usize = 64;

/// A body whose content records leave one at a time, at a pace.
///
/// The first record is never delayed. Records without content pass in order. While records wait, the layer continues
/// to poll the inner body until its buffer is full, so that measurements inside it show the model's speed.
///
/// ```
/// use bytes::Bytes;
/// use http_body::Frame;
/// use http_body_util::{BodyExt, StreamBody};
/// use prometheus::Registry;
/// use streamgauge_meter::{
///     protocol::{Dialect, Framing, Route},
///     shaping::{Config, Families, Shaping, Stream},
/// };
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
/// let config = Config { pace: 20, ..Config::default() };
/// let shaping = Shaping::new(Families::register(&Registry::new())?, config);
/// let stream = Stream {
///     route: Route::Generate,
///     dialect: Dialect::Ollama,
///     framing: Some(Framing::Ndjson),
///     caller: "anonymous",
///     pace: None,
///     upstream: "ollama",
///     strip_usage: false,
/// };
/// let began = tokio::time::Instant::now();
/// shaping.wrap(&stream, body).collect().await?;
/// // Three records at 20 tokens per second: the second and the third wait 50 ms each.
/// assert!(began.elapsed().as_millis() >= 100);
/// # Ok(())
/// # }
/// ```
pub type Pace<B> = Layer<B, Pacing>;

/// Holds records until they may leave.
#[derive(Debug)]
pub struct Pacing {
    splitter: Splitter,
    queue: Queue,
    limit: usize,
    gate: Gate,
    held: Held,
    delay: Arc<Counter>,
}

impl Pacing {
    /// `limit` is the maximum number of held bytes, to which one chunk is added.
    pub(super) fn new(
        format: (Framing, Dialect),
        rate: Rate,
        limit: usize,
        families: &Families,
        shown: Arc<Gauge>,
        tally: RecordTally,
    ) -> Pacing {
        Pacing {
            splitter: Splitter::new(format.0, format.1),
            queue: Queue { runs: VecDeque::new(), open: 0, tally },
            limit,
            gate: Gate::new(rate, shown),
            held: Held::new(families),
            delay: families.pace_delay.clone(),
        }
    }
}

impl Stage for Pacing {
    const KEEPS_BYTES: bool = true;

    fn has_room(&self) -> bool {
        self.held.bytes() + self.queue.runs.len() * PIECE < self.limit
    }

    fn take(&mut self, data: Bytes) {
        let arrived = Instant::now();
        let Pacing { splitter, queue, .. } = self;
        splitter.split(&data, |range, piece| {
            queue.push(RecordRun { bytes: data.slice(range), arrived, costs: false, is_record: false });
            if piece != Piece::Open {
                queue.close(piece);
            }
        });
        self.held.add(data.len());
    }

    fn finish(&mut self) {
        let piece = self.splitter.finish();
        self.queue.close(piece);
    }

    fn poll_give(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        // Half a record is not sent, unless there is no room for the other half.
        if self.queue.is_open() && self.has_room() {
            return Poll::Pending;
        }
        if self.queue.runs.front().is_some_and(|run| run.costs) {
            ready!(self.gate.poll_pass(cx));
        }
        let run = self.queue.pop();
        self.held.take(run.bytes.len());
        self.delay.inc_by(run.arrived.elapsed().as_secs_f64());
        Poll::Ready(run.bytes)
    }

    fn held(&self) -> usize {
        self.held.bytes()
    }

    fn least(&self, to_come: u64) -> u64 {
        to_come.saturating_add(self.held.bytes() as u64)
    }
}

/// The bytes of one record.
#[derive(Debug)]
struct RecordRun {
    bytes: Bytes,
    arrived: Instant,
    /// Whether this is the first run of a content record.
    costs: bool,
    /// Whether this is the last run of a record that was understood.
    is_record: bool,
}

/// The runs, in order of arrival.
#[derive(Debug)]
struct Queue {
    runs: VecDeque<RecordRun>,
    /// The number of runs at the back whose record has not ended.
    open: usize,
    tally: RecordTally,
}

impl Queue {
    /// Whether it contains only the beginning of a record.
    fn is_open(&self) -> bool {
        self.runs.len() == self.open
    }

    /// Adds a run of the last record.
    fn push(&mut self, run: RecordRun) {
        self.runs.push_back(run);
        self.open += 1;
    }

    /// Ends the last record.
    fn close(&mut self, piece: Piece) {
        let open = std::mem::take(&mut self.open);
        let Piece::Record(record) = piece else { return };
        self.tally.came(1);
        let first = self.runs.len() - open;
        match self.runs.get_mut(first) {
            Some(run) => run.costs = record.has_content,
            // There was no room: its bytes were sent, so it can no longer be delayed.
            None => return self.tally.left(1),
        }
        if let Some(run) = self.runs.back_mut() {
            run.is_record = true;
        }
    }

    fn pop(&mut self) -> RecordRun {
        let run = self.runs.pop_front().expect("what is held is in the queue");
        self.open = self.open.min(self.runs.len());
        if run.is_record {
            self.tally.left(1);
        }
        run
    }
}
