//! A body for tests that sends given chunks at given times.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::time::{Instant, Sleep};

use super::{Config, Families, Shaping, Stream, adaptive::Reading};
use crate::protocol::{Dialect, Framing, Route};

#[derive(Clone, Debug)]
pub(super) enum Word {
    Data(Bytes),
    Trailers,
    Error,
}

/// The steps of a body, each with the pause before it.
#[derive(Debug)]
pub(super) struct Script {
    words: VecDeque<(Duration, Word)>,
    sleep: Option<Pin<Box<Sleep>>>,
    polled: Arc<AtomicUsize>,
}

impl Script {
    pub(super) fn new(words: impl IntoIterator<Item = (Duration, Word)>) -> Script {
        Script { words: words.into_iter().collect(), sleep: None, polled: Arc::default() }
    }

    /// Creates chunks that are all ready at once.
    pub(super) fn at_once(chunks: impl IntoIterator<Item = Vec<u8>>) -> Script {
        Script::every(Duration::ZERO, chunks)
    }

    /// Creates one chunk per period.
    pub(super) fn every(period: Duration, chunks: impl IntoIterator<Item = Vec<u8>>) -> Script {
        Script::new(chunks.into_iter().map(|chunk| (period, Word::Data(Bytes::from(chunk)))))
    }

    /// Returns the counter of bytes that were taken. The script holds a second reference to it.
    pub(super) fn taken(&self) -> Arc<AtomicUsize> {
        self.polled.clone()
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let Some((pause, _)) = self.words.front() else { return Poll::Ready(None) };
        let pause = *pause;
        if !pause.is_zero() {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            ready!(sleep.as_mut().poll(cx));
        }
        self.sleep = None;
        let (_, word) = self.words.pop_front().expect("seen above");
        Poll::Ready(Some(match word {
            Word::Data(data) => {
                self.polled.fetch_add(data.len(), Relaxed);
                Ok(Frame::data(data))
            }
            Word::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Word::Error => Err("the script says so"),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.words.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let is_data = |(_, word): &(Duration, Word)| matches!(word, Word::Data(_));
        if !self.words.iter().all(is_data) {
            return SizeHint::default();
        }
        let length = |(_, word): &(Duration, Word)| match word {
            Word::Data(data) => data.len() as u64,
            _ => 0,
        };
        SizeHint::with_exact(self.words.iter().map(length).sum())
    }
}

/// Creates a shaper on a registry of its own.
pub(super) fn shaping(config: Config) -> (Shaping, Registry) {
    let registry = Registry::new();
    (Shaping::new(Families::register(&registry).unwrap(), config), registry)
}

/// A stream of `/api/chat`.
pub(super) const CHAT: Stream<'static> = Stream {
    route: Route::Chat,
    dialect: Dialect::Ollama,
    framing: Some(Framing::Ndjson),
    caller: "alice",
    pace: None,
    upstream: "gpu0",
    strip_usage: false,
};

/// Returns a content record of `/api/chat`.
pub(super) fn content(text: &str) -> Vec<u8> {
    format!(
        "{{\"model\":\"m\",\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"done\":false}}\n"
    )
    .into_bytes()
}

/// Returns the last record of `/api/chat`.
pub(super) fn terminal() -> Vec<u8> {
    b"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n".to_vec()
}

/// Returns the readings of two streams that each run at half of their speed alone, so that an adaptive pace falls.
pub(super) fn contended() -> impl Fn() -> Reading + Send + Sync {
    let start = Instant::now();
    move || {
        let seconds = start.elapsed().as_secs_f64();
        let mut reading = Reading::default();
        (reading.seconds[0], reading.free_seconds[0], reading.tokens[0]) = (10.0, 10.0, 1000.0);
        (reading.seconds[1], reading.stream_seconds[1]) = (seconds, 2.0 * seconds);
        (reading.free_seconds[1], reading.tokens[1]) = (2.0 * seconds, 100.0 * seconds);
        reading
    }
}

/// Returns the next frame of a body.
pub(super) async fn next<B: Body>(body: &mut Pin<Box<B>>) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// The frames of a body, with their times since the call.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) frames: Vec<(Duration, Vec<u8>)>,
    pub(super) trailers: bool,
    pub(super) error: bool,
}

impl Heard {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|(_, frame)| frame.clone()).collect()
    }
}

/// Reads a body to its end.
pub(super) async fn hear<B>(body: B) -> Heard
where
    B: Body<Data = Bytes, Error = &'static str>,
{
    let mut body = Box::pin(body);
    let mut heard = Heard::default();
    let start = Instant::now();
    while let Some(frame) = next(&mut body).await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => heard.frames.push((start.elapsed(), data.to_vec())),
            Ok(Err(_)) => heard.trailers = true,
            Err(_) => heard.error = true,
        }
    }
    heard
}

/// Whether the exposition contains this line.
pub(super) fn shows(registry: &Registry, line: &str) -> bool {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
    String::from_utf8(text).unwrap().lines().any(|shown| shown == format!("streamgauge_{line}"))
}
