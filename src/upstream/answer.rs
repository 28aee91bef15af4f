//! The body of an upstream's response.

use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::{Busy, Failed, patience::Patience};

/// Why a response ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// No byte came within `upstreams.silence_timeout`.
    #[error("no data came for {0:?}")]
    Silent(Duration),
    /// The connection was cut or reset, or the bytes are not a valid response.
    #[error("the connection broke off: {0}")]
    Cut(#[from] hyper::Error),
}

/// Notes that the client broke the request's body off. The response breaks off then too, and that does not count as
/// a failure of the upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excuse(Arc<AtomicBool>);

impl Excuse {
    /// The client broke the body off.
    pub(crate) fn give(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_given(&self) -> bool {
        self.0.load(Relaxed)
    }
}

pin_project! {
    /// The body of a response, which holds the slot at its upstream. Dropping it early closes the upstream's
    /// connection, which cancels the generation.
    #[derive(Debug)]
    pub(crate) struct Answer {
        #[pin]
        body: Incoming,
        patience: Option<Patience>,
        busy: Busy,
        excuse: Excuse,
    }
}

impl Answer {
    /// Lives as long as the response holds a slot; `None`: it holds none, or nothing is limited.
    pub(crate) fn token(&self) -> Option<Weak<()>> {
        self.busy.token()
    }

    /// `is_success`: the status says that the upstream did what was asked.
    pub(super) fn new(
        body: Incoming,
        is_success: bool,
        silence: Duration,
        mut busy: Busy,
        excuse: Excuse,
    ) -> Answer {
        busy.answered(is_success);
        if body.is_end_stream() {
            busy.ended();
        }
        Answer { body, patience: Patience::of(silence), busy, excuse }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut this = self.project();
        let broken = match this.body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(patience) = this.patience {
                    patience.came();
                }
                if this.body.is_end_stream() {
                    // A body whose end is known is not polled again.
                    this.busy.ended();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(None) => {
                this.busy.ended();
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => Broken::Cut(error),
            Poll::Pending => {
                let Some(patience) = this.patience else { return Poll::Pending };
                ready!(patience.poll_over(cx));
                Broken::Silent(patience.limit())
            }
        };
        if !this.excuse.is_given() {
            this.busy.failed(Failed::Request);
        }
        // The client may not have read everything before the failure, but the upstream has stopped.
        this.busy.leave();
        Poll::Ready(Some(Err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
