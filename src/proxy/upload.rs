//! The body of a client's request: read ahead as far as it tells what is asked for, then passed on as it comes.

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

impl Unread {
    /// What its request comes to.
    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Unread::Idle | Unread::Malformed => Outcome::ClientError,
            Unread::Gone => Outcome::ClientAbort,
        }
    }
}

/// A request's body. Frames that were read ahead come first.
#[derive(Debug)]
pub(super) struct Upload {
    body: Inbound,
    /// The length that was declared: the framing towards the upstream is that of the client.
    declared: SizeHint,
    ahead: Ahead,
    trailers: Option<HeaderMap>,
    at_end: bool,
    patience: Option<Patience>,
    progress: Progress,
    live: Arc<Live>,
}

/// What became of an upload, for whoever gave it away.
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

    /// Why it failed, if it did.
    pub(super) fn failure(&self) -> Option<Unread> {
        Self::FAILURES.get(usize::from(self.failure.load(Relaxed)).checked_sub(1)?).copied()
    }

    /// What excuses the upstream if the response breaks off.
    pub(super) fn excuse(&self) -> Excuse {
        self.excuse.clone()
    }
}

impl Upload {
    /// What is read ahead of it takes from `share`.
    pub(super) fn new(body: Inbound, idle: Duration, live: Arc<Live>, share: Share) -> Upload {
        let upload = Upload {
            declared: body.size_hint(),
            at_end: body.is_end_stream(),
            body,
            ahead: Ahead::new(share),
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
    /// the body is read; and further, within the budget, as long as `more` wants it. `reader` sees what was read.
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
                        // A few bytes may come to many: other requests have their turn between two frames.
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

    /// Puts a text in at an offset of what was read ahead, and decoded if the body is coded. False: the body stays as it is.
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

    /// The frames of a coded body with a text put in; `None` where it was not read to its end.
    async fn recode(&mut self, coding: Coding, offset: u64, text: &'static str) -> Option<Vec<Bytes>> {
        let old = self.at_end.then(|| self.ahead.frames())?;
        let mut insertion = Insertion::new(coding, *old.first()?.first()?, offset, text.as_bytes())?;
        let mut new = Vec::with_capacity(old.len() + 1);
        for frame in old {
            new.push(Bytes::from(insertion.push(&frame).ok()?));
            // A few bytes may come to many.
            yield_now().await;
        }
        new.push(Bytes::from(insertion.finish().ok()?));
        Some(new)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unread>>> {
        let polled = match Pin::new(&mut self.body).poll_frame(cx) {
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
        self.at_end = polled.is_none() || self.body.is_end_stream();
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
