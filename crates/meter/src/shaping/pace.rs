//! Records at a steady pace.
//!
//! Pace slows delivery, not the model: Ollama goes on generating until the buffers between are full.

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
    families::{Families, Held, Tally},
    layer::{Layer, Stage},
    rate::Rate,
};
use crate::protocol::{Dialect, Framing, Piece, Splitter};
use gate::Gate;

/// What a piece costs beside its bytes, so that many small ones are held to the bound too.
const PIECE: usize = 64;

/// A body whose content records leave one at a time, at a pace.
///
/// The first is never delayed. Records that carry no content pass in their turn. While it delays it goes on
/// polling the body inside until its buffer is full, so that what is measured there stays the model's doing.
pub type Pace<B> = Layer<B, Pacing>;

/// Holds records until their turn.
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
    /// `limit`: bytes held at most, and one chunk.
    pub(super) fn new(
        format: (Framing, Dialect),
        rate: Rate,
        limit: usize,
        families: &Families,
        shown: Arc<Gauge>,
        tally: Tally,
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
            queue.push(Run { bytes: data.slice(range), arrived, costs: false, is_record: false });
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
        // Half a record is of no use to anyone, unless there is no room for the other half.
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

/// Bytes of one record.
#[derive(Debug)]
struct Run {
    bytes: Bytes,
    arrived: Instant,
    /// The first of a content record.
    costs: bool,
    /// The last of a record that was understood.
    is_record: bool,
}

/// Runs in the order they came.
#[derive(Debug)]
struct Queue {
    runs: VecDeque<Run>,
    /// Runs at the back that belong to a record whose end has not come.
    open: usize,
    tally: Tally,
}

impl Queue {
    /// Nothing in it but the beginning of a record.
    fn is_open(&self) -> bool {
        self.runs.len() == self.open
    }

    /// A run of the record at the back.
    fn push(&mut self, run: Run) {
        self.runs.push_back(run);
        self.open += 1;
    }

    /// The record at the back has ended.
    fn close(&mut self, piece: Piece) {
        let open = std::mem::take(&mut self.open);
        let Piece::Record(record) = piece else { return };
        self.tally.came(1);
        let first = self.runs.len() - open;
        match self.runs.get_mut(first) {
            Some(run) => run.costs = record.has_content,
            // There was no room: its bytes are gone, and with them the time to delay it.
            None => return self.tally.left(1),
        }
        if let Some(run) = self.runs.back_mut() {
            run.is_record = true;
        }
    }

    fn pop(&mut self) -> Run {
        let run = self.runs.pop_front().expect("what is held is in the queue");
        self.open = self.open.min(self.runs.len());
        if run.is_record {
            self.tally.left(1);
        }
        run
    }
}
