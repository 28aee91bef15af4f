//! The body of every response.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::broken_off::BrokenOff;
use super::stream::Stream;

/// The body of a response.
pub(super) enum Answer {
    /// A body of known length.
    Whole(Bytes),
    /// A body that is complete, but is sent chunked.
    Chunked(Bytes),
    /// Sends half of the body, then breaks the connection.
    Broken(Option<Bytes>),
    /// An answer that is being generated.
    Stream(Box<Stream>),
    /// Lines at a fixed interval.
    Lines(Lines),
}

/// Lines that report progress.
pub(super) struct Lines {
    lines: VecDeque<String>,
    interval: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Lines {
    pub(super) fn new(lines: impl IntoIterator<Item = String>, interval: Duration) -> Self {
        Self { lines: lines.into_iter().collect(), interval, sleep: Box::pin(sleep_until(Instant::now())) }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(line) = self.lines.front_mut() else { return Poll::Ready(None) };
        if !self.interval.is_zero() {
            ready!(self.sleep.as_mut().poll(cx));
            self.sleep.as_mut().reset(Instant::now() + self.interval);
        }
        let line = std::mem::take(line) + "\n";
        self.lines.pop_front();
        Poll::Ready(Some(Bytes::from(line)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let chunk = match self.get_mut() {
            Self::Stream(stream) => return stream.poll_next(cx),
            Self::Whole(bytes) | Self::Chunked(bytes) => {
                if bytes.is_empty() {
                    None
                } else {
                    Some(std::mem::take(bytes))
                }
            }
            Self::Broken(half) => match half.take() {
                None => return Poll::Ready(Some(Err(BrokenOff))),
                half => half,
            },
            Self::Lines(lines) => ready!(lines.poll_next(cx)),
        };
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
