//! OpenAI's `usage`, which Ollama tells only to those who ask.
//!
//! [`Shaping::ask_usage`](super::Shaping::ask_usage) asks in the client's stead; [`Strip`] takes the extra chunk
//! out again.

#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::{
    assembly::{Assembly, Part},
    families::{Families, Held, Tally},
    layer::{Layer, Stage},
};
use crate::protocol::{Dialect, Framing, Piece, Route};

/// What is done about `usage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenAiUsage {
    /// Nothing.
    #[default]
    Off,
    /// It is asked for; the client sees the extra chunk.
    Inject,
    /// It is asked for, and the extra chunk is taken out.
    InjectAndStrip,
}

/// The request's body with `include_usage` asked for; `None` where it stays as it is: the client asks itself
/// or says no, wants no stream, or the body is not read.
///
/// The bytes that were there stay; the field is put behind them. Ollama's decoder lets it join what the client
/// said in an earlier one.
pub(super) fn inject(route: Route, body: &[u8]) -> Option<Bytes> {
    if !matches!(route, Route::OpenaiChat | Route::OpenaiCompletions) {
        return None;
    }
    let Value::Object(fields) = serde_json::from_slice(body).ok()? else { return None };
    let asks = match fields.get("stream_options") {
        None | Some(Value::Null) => false,
        Some(Value::Object(options)) => options.contains_key("include_usage"),
        // Ollama will say what it thinks of it.
        Some(_) => true,
    };
    if asks || fields.get("stream") != Some(&Value::Bool(true)) {
        return None;
    }
    let open = body.trim_ascii_end().strip_suffix(b"}")?;
    let mut injected = BytesMut::with_capacity(open.len() + 48);
    injected.extend_from_slice(open);
    injected.extend_from_slice(b",\"stream_options\":{\"include_usage\":true}}");
    Some(injected.freeze())
}

/// A body without the chunk that tells the usage and no choice.
pub type Strip<B> = Layer<B, Stripping>;

/// Takes the chunk out.
#[derive(Debug)]
pub struct Stripping {
    assembly: Assembly,
    ready: BytesMut,
    held: Held,
    tally: Tally,
}

impl Stripping {
    pub(super) fn new(families: &Families, tally: Tally) -> Stripping {
        Stripping {
            assembly: Assembly::new((Framing::Sse, Dialect::OpenAi)),
            ready: BytesMut::new(),
            held: Held::new(families),
            tally,
        }
    }

    fn part(part: Part, ready: &mut BytesMut, tally: &Tally) {
        match part {
            Part::Whole(bytes, Piece::Record(record)) => {
                tally.came(1);
                if record.usage.is_none() || !is_usage_alone(&bytes) {
                    tally.left(1);
                    ready.extend_from_slice(&bytes);
                }
            }
            Part::Whole(bytes, _) | Part::Loose(bytes) => ready.extend_from_slice(&bytes),
        }
    }

    fn show(&mut self) {
        self.held.set(self.ready.len() + self.assembly.held());
    }
}

/// The event's data is an object with no choice in `choices`.
fn is_usage_alone(event: &[u8]) -> bool {
    let data = event.trim_ascii().strip_prefix(b"data:");
    let fields = data.and_then(|data| serde_json::from_slice::<Value>(data).ok());
    let choices = fields.as_ref().and_then(|fields| fields.get("choices")).and_then(Value::as_array);
    choices.is_some_and(Vec::is_empty)
}

impl Stage for Stripping {
    const KEEPS_BYTES: bool = false;

    fn has_room(&self) -> bool {
        self.ready.is_empty()
    }

    fn take(&mut self, data: Bytes) {
        let Stripping { assembly, ready, tally, .. } = self;
        assembly.take(&data, |part| Stripping::part(part, ready, tally));
        self.show();
    }

    fn finish(&mut self) {
        let Stripping { assembly, ready, tally, .. } = self;
        assembly.finish(|part| Stripping::part(part, ready, tally));
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

    fn least(&self, _: u64) -> u64 {
        // What comes may all be taken out.
        self.ready.len() as u64
    }
}
