//! A body around a body. It takes bytes, holds some, and returns them when a stage decides so.
//!
//! Each stage decides which bytes to hold, and until when. This module handles what is common to all: ends, errors,
//! lengths and wake-ups.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Decides which bytes a layer holds, and when it returns them.
pub(super) trait Stage {
    /// Whether the stage returns exactly the bytes that it took.
    const KEEPS_BYTES: bool;

    /// Whether the stage can take more. A stage that cannot must return bytes, or wait on a timer of its own.
    fn has_room(&self) -> bool;

    /// Takes the next bytes of the inner body. They are never empty.
    fn take(&mut self, data: Bytes);

    /// Notes the end of the inner body, so that held bytes do not wait for more.
    fn finish(&mut self);

    /// Returns the next bytes. It is pending until more is taken, or until a timer that it has polled.
    fn poll_give(&mut self, cx: &mut Context<'_>) -> Poll<Bytes>;

    /// Returns the number of held bytes.
    fn held(&self) -> usize;

    /// Returns the smallest number of bytes that it will still return, if `to_come` more bytes come.
    fn least(&self, to_come: u64) -> u64;
}

pin_project! {
    /// A body shaped by a stage. Without a stage, the body passes unchanged.
    #[derive(Debug)]
    pub struct Layer<B, S>
    where
        B: Body,
    {
        #[pin]
        pub(super) inner: B,
        // Boxed, since most streams have no stage.
        staged: Option<Box<Staged<S, B::Error>>>,
    }
}

#[derive(Debug)]
struct Staged<S, E> {
    stage: S,
    ending: BodyEnd<E>,
}

/// The end of the inner body. It is passed on after all held bytes.
#[derive(Debug)]
enum BodyEnd<E> {
    /// The body has not ended.
    Open,
    Trailers(Frame<Bytes>),
    Error(E),
    /// The body ended cleanly, or its end was passed on.
    Done,
}

impl<E> BodyEnd<E> {
    fn tell(&mut self) -> Option<Result<Frame<Bytes>, E>> {
        match std::mem::replace(self, BodyEnd::Done) {
            BodyEnd::Trailers(frame) => Some(Ok(frame)),
            BodyEnd::Error(error) => Some(Err(error)),
            BodyEnd::Open | BodyEnd::Done => None,
        }
    }
}

impl<B: Body, S> Layer<B, S> {
    pub(super) fn new(inner: B, stage: Option<S>) -> Layer<B, S> {
        let staged = stage.map(|stage| Box::new(Staged { stage, ending: BodyEnd::Open }));
        Layer { inner, staged }
    }

    /// Whether there is a stage.
    pub(super) fn shapes(&self) -> bool {
        self.staged.is_some()
    }
}

#[allow(private_bounds, reason = "the stages are closed")]
impl<B: Body<Data = Bytes>, S: Stage> Body for Layer<B, S> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let Some(staged) = this.staged else { return this.inner.poll_frame(cx) };
        let Staged { stage, ending } = &mut **staged;
        loop {
            if stage.held() > 0
                && let Poll::Ready(data) = stage.poll_give(cx)
            {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if !matches!(ending, BodyEnd::Open) {
                return if stage.held() > 0 { Poll::Pending } else { Poll::Ready(ending.tell()) };
            }
            if !stage.has_room() {
                return Poll::Pending;
            }
            *ending = match ready!(this.inner.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => {
                        stage.take(data);
                        continue;
                    }
                    Err(trailers) => BodyEnd::Trailers(trailers),
                },
                Some(Err(error)) => BodyEnd::Error(error),
                None => BodyEnd::Done,
            };
            stage.finish();
        }
    }

    fn is_end_stream(&self) -> bool {
        let Some(staged) = &self.staged else { return self.inner.is_end_stream() };
        staged.stage.held() == 0
            && match staged.ending {
                BodyEnd::Open => self.inner.is_end_stream(),
                BodyEnd::Trailers(_) | BodyEnd::Error(_) => false,
                BodyEnd::Done => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let Some(staged) = &self.staged else { return self.inner.size_hint() };
        let stage = &staged.stage;
        let to_come = match staged.ending {
            BodyEnd::Open => self.inner.size_hint(),
            _ => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(stage.least(to_come.lower()));
        if let Some(upper) = to_come.upper().filter(|_| S::KEEPS_BYTES) {
            hint.set_upper(upper.saturating_add(stage.held() as u64));
        }
        hint
    }
}
