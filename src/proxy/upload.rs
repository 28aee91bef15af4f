//! The body of a client's request. It is read ahead as far as needed to find the model, and then forwarded as it
//! comes.

mod ahead;
mod budget;
mod lent;
mod unwanted;

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

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use tokio::task::yield_now;

use super::{Inbound, naming::Naming};
use crate::{
    meter::{Live, Outcome},
    protocol::{Coding, Insertion},
    upstream::{Excuse, Patience},
};
use ahead::Ahead;
use budget::Short;

pub(super) use budget::{Budget, Share};
pub(super) use lent::{Lent, Owner};
pub(super) use unwanted::read_off;

/// Why a body is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// The client sent nothing for `proxy.body_idle_timeout`.
    #[error("no more of the request body came within proxy.body_idle_timeout")]
    Idle,
    /// The framing is invalid.
    #[error("the request's body is malformed")]
    Malformed,
    /// The client disconnected.
    #[error("the client disconnected")]
    Gone,
}

impl Unread {
    /// The outcome of the request.
    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Unread::Idle | Unread::Malformed => Outcome::ClientError,
            Unread::Gone => Outcome::ClientAbort,
        }
    }
}

/// The body of a request. Frames that were read ahead come first.
#[derive(Debug)]
pub(super) struct Upload {
    /// `None`: it was read ahead to its end.
    body: Option<Inbound>,
    /// The declared length, since the framing towards the upstream is that of the client.
    declared: SizeHint,
    ahead: Ahead,
    trailers: Option<HeaderMap>,
    at_end: bool,
    patience: Option<Patience>,
    progress: Progress,
    live: Arc<Live>,
    /// Who has it again if nothing of it is read.
    owner: Option<Owner>,
}

/// The state of an upload that was handed to a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    failure: Arc<AtomicU8>,
    excuse: Excuse,
}

impl Progress {
    const FAILURES: [Unread; 3] = [Unread::Idle, Unread::Malformed, Unread::Gone];

    fn fail(&self, why: Unread) {
        self.failure.store(why as u8 + 1, Relaxed);
        self.excuse.give();
    }

    /// Why the upload failed, if it did.
    pub(super) fn failure(&self) -> Option<Unread> {
        Self::FAILURES.get(usize::from(self.failure.load(Relaxed)).checked_sub(1)?).copied()
    }

    /// The excuse for the upstream if the response breaks off.
    pub(super) fn excuse(&self) -> Excuse {
        self.excuse.clone()
    }
}

impl Upload {
    /// Frames that are read ahead are taken from `share`.
    pub(super) fn new(body: Inbound, idle: Duration, live: Arc<Live>, share: Share) -> Upload {
        Upload {
            declared: body.size_hint(),
            at_end: body.is_end_stream(),
            body: Some(body),
            ahead: Ahead::new(share),
            trailers: None,
            patience: Patience::of(idle),
            progress: Progress::default(),
            live,
            owner: None,
        }
    }

    /// Reads up to `limit` bytes ahead, or to the end, since hyper notices a disconnect only after it has read the
    /// body. Reads further, within the budget, as long as `more` returns true. `reader` sees the bytes.
    pub(super) async fn read_ahead(
        &mut self,
        limit: usize,
        reader: &mut Naming,
        more: impl Fn(&Naming) -> bool,
    ) -> Result<(), Unread> {
        while !self.at_end {
            if self.ahead.share().held() >= limit {
                if !more(reader) {
                    break;
                }
                let to_come = self.declared.lower().saturating_sub(self.ahead.share().held() as u64);
                if let Some(why) = self.ahead.share().is_short(to_come) {
                    self.ahead.share().stopped(why);
                    break;
                }
            }
            let Some(frame) = poll_fn(|cx| self.poll_body(cx)).await else { break };
            match frame?.into_data() {
                Ok(data) => {
                    reader.read(&data);
                    self.ahead.push(data);
                    if reader.is_coded() {
                        // A few bytes may decode into many, so that other requests get their turn between two
                        // frames.
                        yield_now().await;
                    }
                }
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
        if reader.is_undecodable() {
            self.ahead.share().stopped(Short::Coding);
        }
        Ok(())
    }

    /// The same body again for another upstream, if it was read ahead to its end and the budget has room for it.
    pub(super) fn copy(&mut self) -> Option<Upload> {
        if !self.at_end || self.trailers.is_some() {
            return None;
        }
        Some(Upload {
            body: None,
            declared: self.declared,
            ahead: self.ahead.copy()?,
            trailers: None,
            at_end: true,
            patience: None,
            progress: Progress::default(),
            live: self.live.clone(),
            owner: None,
        })
    }

    /// Whether the body was read ahead to its end.
    pub(super) const fn is_read(&self) -> bool {
        self.at_end
    }

    /// Inserts a text at an offset of the bytes that were read ahead, decoded if the body is compressed. Returns
    /// false if the body stays unchanged.
    pub(super) async fn insert(
        &mut self,
        coding: Coding,
        offset: u64,
        text: &'static str,
        fields: &mut HeaderMap,
    ) -> bool {
        let before = self.ahead.share().held() as u64;
        if coding == Coding::Identity {
            let Ok(offset) = usize::try_from(offset) else { return false };
            self.ahead.insert(offset, Bytes::from_static(text.as_bytes()));
        } else {
            let Some(frames) = self.recode(coding, offset, text).await else { return false };
            self.ahead.replace(frames);
        }
        if let Some(length) = self.declared.exact() {
            let length = (length - before) + self.ahead.share().held() as u64;
            self.declared = SizeHint::with_exact(length);
            fields.insert(CONTENT_LENGTH, length.into());
        }
        true
    }

    /// The frames of a compressed body with an inserted text; `None` if it was not read to its end.
    async fn recode(&mut self, coding: Coding, offset: u64, text: &'static str) -> Option<Vec<Bytes>> {
        let old = self.at_end.then(|| self.ahead.frames())?;
        let mut insertion = Insertion::new(coding, *old.first()?.first()?, offset, text.as_bytes())?;
        let mut new = Vec::with_capacity(old.len() + 1);
        for frame in old {
            new.push(Bytes::from(insertion.push(&frame).ok()?));
            // A few bytes may decode into many.
            yield_now().await;
        }
        new.push(Bytes::from(insertion.finish().ok()?));
        Some(new)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => {
                let Some(patience) = &mut self.patience else { return Poll::Pending };
                ready!(patience.poll_over(cx));
                self.fail(Unread::Idle);
                return Poll::Ready(Some(Err(Unread::Idle)));
            }
        };
        if let Some(patience) = &mut self.patience {
            patience.came();
        }
        self.at_end = polled.is_none() || body.is_end_stream();
        Poll::Ready(polled.map(|frame| {
            frame.map_err(|error| {
                let why = if is_nonsense(&error) { Unread::Malformed } else { Unread::Gone };
                self.fail(why);
                why
            })
        }))
    }

    fn fail(&self, why: Unread) {
        self.progress.fail(why);
        self.live.broke_off(why.outcome());
    }
}

/// Whether the bytes arrived and were not a valid body.
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
        let frame = if let Some(data) = this.ahead.pop() {
            Some(Ok(Frame::data(data)))
        } else if let Some(trailers) = this.trailers.take() {
            Some(Ok(Frame::trailers(trailers)))
        } else if this.at_end {
            None
        } else {
            ready!(this.poll_body(cx))
        };
        if this.is_empty() {
            this.live.request_sent();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // A chunked body without bytes still has an end that must be sent.
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
