//! A body around a body: takes its bytes, holds some, gives them when a stage says so.
//!
//! Each stage decides what to hold and until when; what holds for all of them (ends, errors, lengths, who wakes
//! whom) is here.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Decides what a layer holds and when it gives it.
pub(super) trait Stage {
    /// What it gives is what it took, byte for byte.
    const KEEPS_BYTES: bool;

    /// It takes more. One that takes none gives something, or waits on a timer of its own.
    fn has_room(&self) -> bool;

    /// Takes the next bytes of the body inside; never none.
    fn take(&mut self, data: Bytes);

    /// The body inside is at its end: nothing that is held waits for more of it.
    fn finish(&mut self);

    /// The next bytes, or pending: until more is taken, or until a timer that it has polled.
    fn poll_give(&mut self, cx: &mut Context<'_>) -> Poll<Bytes>;

    /// Bytes it holds.
    fn held(&self) -> usize;

    /// Bytes it will give at least, if it is yet to take so many.
    fn least(&self, to_come: u64) -> u64;
}

pin_project! {
    /// A body shaped by a stage; without one the body passes as it is.
    #[derive(Debug)]
    pub struct Layer<B, S>
    where
        B: Body,
    {
        #[pin]
        pub(super) inner: B,
        pub(super) stage: Option<Box<S>>,
        ending: Ending<B::Error>,
    }
}

/// How the body inside ended; told once all that is held has been given.
#[derive(Debug)]
enum Ending<E> {
    /// Not yet.
    Open,
    Trailers(Frame<Bytes>),
    Error(E),
    /// Cleanly, or told already.
    Done,
}

impl<E> Ending<E> {
    fn tell(&mut self) -> Option<Result<Frame<Bytes>, E>> {
        match std::mem::replace(self, Ending::Done) {
            Ending::Trailers(frame) => Some(Ok(frame)),
            Ending::Error(error) => Some(Err(error)),
            Ending::Open | Ending::Done => None,
        }
    }
}

impl<B: Body, S> Layer<B, S> {
    pub(super) fn new(inner: B, stage: Option<S>) -> Layer<B, S> {
        Layer { inner, stage: stage.map(Box::new), ending: Ending::Open }
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
        let Some(stage) = this.stage else { return this.inner.poll_frame(cx) };
        loop {
            if stage.held() > 0
                && let Poll::Ready(data) = stage.poll_give(cx)
            {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if !matches!(this.ending, Ending::Open) {
                return if stage.held() > 0 { Poll::Pending } else { Poll::Ready(this.ending.tell()) };
            }
            if !stage.has_room() {
                return Poll::Pending;
            }
            *this.ending = match ready!(this.inner.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => {
                        stage.take(data);
                        continue;
                    }
                    Err(trailers) => Ending::Trailers(trailers),
                },
                Some(Err(error)) => Ending::Error(error),
                None => Ending::Done,
            };
            stage.finish();
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stage.as_ref().is_none_or(|stage| stage.held() == 0)
            && match self.ending {
                Ending::Open => self.inner.is_end_stream(),
                Ending::Trailers(_) | Ending::Error(_) => false,
                Ending::Done => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let Some(stage) = &self.stage else { return self.inner.size_hint() };
        let to_come = match self.ending {
            Ending::Open => self.inner.size_hint(),
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
