//! Merges records that came together into one.
//!
//! The text that a client assembles from a stream stays the same. A record that is not understood completely passes
//! alone.

mod record;
#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::{
    assembly::{Assembly, Part},
    families::{Families, Held, RecordTally},
    layer::{Layer, Stage},
};
use crate::protocol::{Dialect, Framing, Kind, Piece};
use record::Mergeable;

/// A body in which the consecutive content records of a chunk become one record. Texts and logprobs are joined, and
/// all other fields come from the last record.
///
/// ```
/// # use bytes::Bytes;
/// # use http_body::Frame;
/// # use http_body_util::{BodyExt, StreamBody};
/// # use prometheus::Registry;
/// use streamgauge_meter::shaping::{Config, Families, Shaping, Stream};
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
/// let shaping =
///     Shaping::new(Families::register(&Registry::new())?, Config { merge: true, ..Config::default() });
/// let merged = shaping.wrap(&stream, body).collect().await?.to_bytes();
/// let merged = std::str::from_utf8(&merged)?;
/// assert!(merged.contains(r#""response":"bc""#), "{merged}");
/// assert_eq!(merged.lines().count(), 3);
/// # Ok(())
/// # }
/// ```
pub type Merge<B> = Layer<B, Merging>;

/// Merges the records of each chunk.
#[derive(Debug)]
pub struct Merging {
    framing: Framing,
    assembly: Assembly,
    /// The bytes that are sent next.
    ready: BytesMut,
    held: Held,
    tally: RecordTally,
}

/// The records of one chunk that are merged so far.
struct Run {
    first: Bytes,
    merged: Mergeable,
    count: u64,
}

impl Merging {
    pub(super) fn new(format: (Framing, Dialect), families: &Families, tally: RecordTally) -> Merging {
        Merging {
            framing: format.0,
            assembly: Assembly::new(format),
            ready: BytesMut::new(),
            held: Held::new(families),
            tally,
        }
    }

    fn show(&mut self) {
        self.held.set(self.ready.len() + self.assembly.held());
    }
}

impl Stage for Merging {
    const KEEPS_BYTES: bool = false;

    fn has_room(&self) -> bool {
        self.ready.is_empty()
    }

    fn take(&mut self, data: Bytes) {
        let Merging { framing, assembly, ready, tally, .. } = self;
        let mut run: Option<Run> = None;
        assembly.take(&data, |part| match part {
            Part::Whole(bytes, Piece::Record(record)) => {
                tally.came(1);
                let is_plain = matches!(record.kind, Kind::Content | Kind::Thinking);
                match Mergeable::read(&bytes, *framing).filter(|_| is_plain) {
                    Some(next) => join(&mut run, next, bytes, *framing, ready, tally),
                    None => {
                        flush(run.take(), *framing, ready, tally);
                        ready.extend_from_slice(&bytes);
                        tally.left(1);
                    }
                }
            }
            Part::Whole(bytes, _) | Part::Loose(bytes) => {
                flush(run.take(), *framing, ready, tally);
                ready.extend_from_slice(&bytes);
            }
        });
        flush(run, *framing, ready, tally);
        self.show();
    }

    fn finish(&mut self) {
        let Merging { assembly, ready, tally, .. } = self;
        assembly.finish(|part| {
            let (Part::Whole(bytes, _) | Part::Loose(bytes)) = &part;
            ready.extend_from_slice(bytes);
            if let Part::Whole(_, Piece::Record(_)) = part {
                tally.came(1);
                tally.left(1);
            }
        });
        self.show();
    }

    fn poll_give(&mut self, _: &mut Context<'_>) -> Poll<Bytes> {
        if self.ready.is_empty() {
            return Poll::Pending;
        }
        let data = std::mem::take(&mut self.ready).freeze();
        self.show();
        Poll::Ready(data)
    }

    fn held(&self) -> usize {
        self.held.bytes()
    }

    fn least(&self, to_come: u64) -> u64 {
        // Records may be merged, but at least one byte remains.
        self.ready.len() as u64 + to_come.min(1)
    }
}

/// Merges the record with those before it, or begins a new run.
fn join(
    run: &mut Option<Run>,
    next: Mergeable,
    bytes: Bytes,
    framing: Framing,
    ready: &mut BytesMut,
    tally: &RecordTally,
) {
    let next = match run {
        Some(run) => match run.merged.join(next) {
            Ok(()) => {
                run.count += 1;
                return;
            }
            Err(next) => next,
        },
        None => next,
    };
    flush(run.replace(Run { first: bytes, merged: next, count: 1 }), framing, ready, tally);
}

/// A record that is alone stays byte for byte the same.
fn flush(run: Option<Run>, framing: Framing, ready: &mut BytesMut, tally: &RecordTally) {
    let Some(run) = run else { return };
    tally.left(1);
    if run.count == 1 {
        ready.extend_from_slice(&run.first);
    } else {
        run.merged.write(framing, ready);
    }
}
