//! The body of an upstream's response.

use std::{
    pin::Pin,
    sync::{
        Arc,
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

/// Why a response broke off in the middle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// `upstreams.silence_timeout` passed without a byte.
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// The connection was cut or reset, or what came makes no sense.
    #[error("broken off: {0}")]
    Cut(#[from] hyper::Error),
}

/// Whether the client broke off the request's body. The response breaks off then too, and that is not held against the
/// upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excuse(Arc<AtomicBool>);

impl Excuse {
    /// The client broke it off.
    pub(crate) fn give(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_given(&self) -> bool {
        self.0.load(Relaxed)
    }
}

pin_project! {
    /// A response's body as it comes, with the place that it takes at its upstream. Dropped before its end,
    /// it closes the upstream's connection, which cancels the generation.
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
    pub(super) fn new(body: Incoming, silence: Duration, mut busy: Busy, excuse: Excuse) -> Answer {
        busy.answered();
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
                    // Nobody asks again for what has no more.
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
        Poll::Ready(Some(Err(broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
