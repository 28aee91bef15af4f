//! OpenAI's `usage`, which Ollama tells only to those who ask.
//!
//! [`Shaping::ask_usage`](super::Shaping::ask_usage) asks in the client's stead; [`Strip`] takes out again what is told
//! for that: the extra chunk of `/v1/chat/completions` and `/v1/completions`, and the zeros in each other chunk of the latter.

#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::{
    assembly::{Assembly, Part},
    families::{Families, Held, Tally},
    layer::{Layer, Stage},
};
use crate::protocol::{Dialect, Framing, Piece, Route, object};

/// What is done about `usage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenAiUsage {
    /// Nothing.
    #[default]
    Off,
    /// It is asked for; the client sees the extra chunk.
    Inject,
    /// It is asked for, and taken out of the answer.
    InjectAndStrip,
}

const DATA: &[u8] = b"data:";

/// Put behind the last field of a request, it asks for the usage. Ollama's decoder lets it join what the client said
/// in an earlier `stream_options`.
pub(super) const ASK: &str = ",\"stream_options\":{\"include_usage\":true}";

/// Where requests can ask for the usage.
pub(super) const fn is_told_on(route: Route) -> bool {
    matches!(route, Route::OpenaiChat | Route::OpenaiCompletions)
}

/// A body without the chunk that tells the usage and no choice, and without the usage in any other chunk.
pub type Strip<B> = Layer<B, Stripping>;

/// Takes the usage out.
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
            Part::Whole(bytes, Piece::Record(_)) => {
                tally.came(1);
                match Told::find(&bytes) {
                    Told::Nothing => ready.extend_from_slice(&bytes),
                    Told::Beside(usage) => {
                        ready.extend_from_slice(&bytes[..usage.start]);
                        ready.extend_from_slice(&bytes[usage.end..]);
                    }
                    Told::Alone => return,
                }
                tally.left(1);
            }
            Part::Whole(bytes, _) | Part::Loose(bytes) => ready.extend_from_slice(&bytes),
        }
    }

    fn show(&mut self) {
        self.held.set(self.ready.len() + self.assembly.held());
    }
}

/// What an event tells of the usage.
enum Told {
    Nothing,
    /// That and no choice: without having been asked Ollama would not have sent it.
    Alone,
    /// That beside a choice, and what to take out.
    Beside(Range<usize>),
}

impl Told {
    fn find(event: &[u8]) -> Told {
        let Some(data) = data(event) else { return Told::Nothing };
        let Some([choices, Some(usage)]) = object::find(&event[data.clone()], [b"choices", b"usage"]) else {
            return Told::Nothing;
        };
        let inside = choices.and_then(|choices| choices.value.strip_prefix(b"[")?.strip_suffix(b"]"));
        if usage.value.starts_with(b"{") && inside.is_some_and(|inside| inside.trim_ascii().is_empty()) {
            return Told::Alone;
        }
        Told::Beside(data.start + usage.range.start..data.start + usage.range.end)
    }
}

/// Where an event's line of data lies; `None` where there are several.
fn data(event: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    let mut start = 0;
    while start < event.len() {
        let end = memchr2(b'\n', b'\r', &event[start..]).map_or(event.len(), |length| start + length);
        if event[start..end].starts_with(DATA) && found.replace(start + DATA.len()..end).is_some() {
            return None;
        }
        start = end + 1;
    }
    found
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
