//! The body of a client's request: read ahead as far as it tells what is asked for, then passed on as it comes.

mod lent;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{meter::Live, upstream::Patience};

pub(super) use lent::{Lent, Owner};

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// Nothing came for `proxy.body_idle_timeout`.
    #[error("the request's body stopped")]
    Idle,
    /// The framing is broken.
    #[error("the request's body is malformed")]
    Malformed,
    /// The client went away.
    #[error("the client went away")]
    Gone,
}

/// A request's body. Frames that were read ahead come first.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    /// The length that was declared: the framing towards the upstream is that of the client.
    declared: SizeHint,
    ahead: Bytes,
    trailers: Option<HeaderMap>,
    at_end: bool,
    patience: Option<Patience>,
    progress: Progress,
    live: Arc<Live>,
}

/// What became of an upload, for whoever gave it away.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    const FAILURES: [Unread; 3] = [Unread::Idle, Unread::Malformed, Unread::Gone];

    fn fail(&self, why: Unread) {
        self.0.store(why as u8 + 1, Relaxed);
    }

    /// Why it failed, if it did.
    pub(super) fn failure(&self) -> Option<Unread> {
        Self::FAILURES.get(usize::from(self.0.load(Relaxed)).checked_sub(1)?).copied()
    }
}

impl Upload {
    pub(super) fn new(body: Incoming, idle: Duration, live: Arc<Live>) -> Upload {
        let upload = Upload {
            declared: body.size_hint(),
            at_end: body.is_end_stream(),
            body,
            ahead: Bytes::new(),
            trailers: None,
            patience: Patience::of(idle),
            progress: Progress::default(),
            live,
        };
        if upload.at_end {
            upload.live.sent();
        }
        upload
    }

    /// Reads up to `limit` bytes ahead, to the end if that comes first, for hyper sees a client leave only once
    /// the body is read. What was read is what this returns.
    pub(super) async fn read_ahead(&mut self, limit: usize) -> Result<&[u8], Unread> {
        let mut joined = BytesMut::new();
        while !self.at_end && self.ahead.len().max(joined.len()) < limit {
            let Some(frame) = poll_fn(|cx| self.poll_body(cx)).await else { break };
            match frame?.into_data() {
                // Mostly the whole of it: no copy.
                Ok(data) if self.ahead.is_empty() && joined.is_empty() => self.ahead = data,
                Ok(data) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&std::mem::take(&mut self.ahead));
                    }
                    joined.extend_from_slice(&data);
                }
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
        if !joined.is_empty() {
            self.ahead = joined.freeze();
        }
        Ok(&self.ahead)
    }

    /// All of it, if that was read ahead.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.at_end.then_some(&self.ahead)
    }

    /// Puts another body in the place of one that was read to its end.
    pub(super) fn replace(&mut self, body: Bytes, fields: &mut HeaderMap) {
        if self.declared.exact().is_some() {
            self.declared = SizeHint::with_exact(body.len() as u64);
            fields.insert(CONTENT_LENGTH, body.len().into());
        }
        self.ahead = body;
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        let polled = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                let Some(patience) = &mut self.patience else { return Poll::Pending };
                ready!(patience.poll_over(cx));
                self.progress.fail(Unread::Idle);
                return Poll::Ready(Some(Err(Unread::Idle)));
            }
        };
        if let Some(patience) = &mut self.patience {
            patience.came();
        }
        self.at_end = polled.is_none() || self.body.is_end_stream();
        Poll::Ready(polled.map(|frame| {
            frame.map_err(|error| {
                let why = if is_nonsense(&error) { Unread::Malformed } else { Unread::Gone };
                self.progress.fail(why);
                why
            })
        }))
    }
}

/// The bytes were there, and made no sense as a body.
fn is_nonsense(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::InvalidInput
                || io.kind() == std::io::ErrorKind::InvalidData;
        }
        cause = inner.source();
    }
    false
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Unread;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        let this = &mut *self;
        let frame = if !this.ahead.is_empty() {
            Some(Ok(Frame::data(std::mem::take(&mut this.ahead))))
        } else if let Some(trailers) = this.trailers.take() {
            Some(Ok(Frame::trailers(trailers)))
        } else if this.at_end {
            None
        } else {
            ready!(this.poll_body(cx))
        };
        if this.is_empty() {
            this.live.sent();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // A chunked body without a byte still has its end to be told.
        self.is_empty() && self.declared.exact().is_some()
    }

    fn size_hint(&self) -> SizeHint {
        self.declared
    }
}

impl Upload {
    fn is_empty(&self) -> bool {
        self.at_end && self.ahead.is_empty() && self.trailers.is_none()
    }
}
