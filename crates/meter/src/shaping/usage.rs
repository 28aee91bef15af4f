//! OpenAI's `usage`, which Ollama sends only if the request asks for it.
//!
//! [`Shaping::ask_usage`](super::Shaping::ask_usage) asks for it if the client does not. [`Strip`] removes what
//! Ollama then adds: the extra chunk of `/v1/chat/completions` and `/v1/completions`, and the zeros in every other
//! chunk of the latter.

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
    families::{Families, Held, RecordTally},
    layer::{Layer, Stage},
};
use crate::protocol::{Dialect, Framing, Piece, Route, object};

/// How to treat `usage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenAiUsage {
    /// Change nothing.
    #[default]
    Off,
    /// Ask for it. The client sees the extra chunk.
    Inject,
    /// Ask for it, and remove it from the response.
    InjectAndStrip,
}

const DATA: &[u8] = b"data:";

/// Inserted after the last field of a request, it asks for the usage. Ollama's decoder merges it with an earlier
/// `stream_options` of the client.
pub(super) const ASK: &str = ",\"stream_options\":{\"include_usage\":true}";

/// Whether requests on this route can ask for the usage.
pub(super) const fn is_told_on(route: Route) -> bool {
    matches!(route, Route::OpenaiChat | Route::OpenaiCompletions)
}

/// A body without the chunk that has the usage and no choice, and without the usage in any other chunk.
///
/// ```
/// # use bytes::Bytes;
/// # use http_body::Frame;
/// # use http_body_util::{BodyExt, StreamBody};
/// # use prometheus::Registry;
/// use streamgauge_meter::{
///     protocol::{Dialect, Framing, Peek, Route},
///     shaping::{Config, Families, OpenAiUsage, Shaping, Stream},
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config { openai_usage: OpenAiUsage::InjectAndStrip, ..Config::default() };
/// let shaping = Shaping::new(Families::register(&Registry::new())?, config);
///
/// let mut request = r#"{"model":"m","stream":true}"#.to_owned();
/// let ask = shaping.ask_usage(Route::OpenaiChat, &Peek::read(request.as_bytes())).unwrap();
/// request.insert_str(usize::try_from(ask.at)?, ask.text);
/// assert_eq!(request, r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#);
///
/// # let records = [
/// #     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
/// #     "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n\n",
/// #     "data: [DONE]\n\n",
/// # ];
/// # let frames = records.map(|record| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(record))));
/// # let body = StreamBody::new(futures_util::stream::iter(frames));
/// let stream = Stream {
///     route: Route::OpenaiChat,
///     dialect: Dialect::OpenAi,
///     framing: Some(Framing::Sse),
///     caller: "anonymous",
///     pace: None,
///     upstream: "ollama",
///     strip_usage: ask.strip,
/// };
/// // The response has a chunk with the usage, which the client did not ask for.
/// let stripped = shaping.wrap(&stream, body).collect().await?.to_bytes();
/// assert!(!std::str::from_utf8(&stripped)?.contains("usage"));
/// # Ok(())
/// # }
/// ```
pub type Strip<B> = Layer<B, Stripping>;

/// Removes the usage.
#[derive(Debug)]
pub struct Stripping {
    assembly: Assembly,
    ready: BytesMut,
    held: Held,
    tally: RecordTally,
}

impl Stripping {
    pub(super) fn new(families: &Families, tally: RecordTally) -> Stripping {
        Stripping {
            assembly: Assembly::new((Framing::Sse, Dialect::OpenAi)),
            ready: BytesMut::new(),
            held: Held::new(families),
            tally,
        }
    }

    fn part(part: Part, ready: &mut BytesMut, tally: &RecordTally) {
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

/// The usage in an event.
enum Told {
    Nothing,
    /// The event has the usage and no choice. Ollama sends it only on request.
    Alone,
    /// The event has the usage and a choice. The range is to be removed.
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

/// Returns the position of an event's line of data. `None`: there are several.
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
        // All bytes that come may be removed.
        self.ready.len() as u64
    }
}
