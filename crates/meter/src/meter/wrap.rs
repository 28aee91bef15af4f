//! Adapts a body to a stream of bytes and the other way round, for programs whose client has only one of them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;

pin_project! {
    /// A stream of bytes as a body, or a body as a stream of bytes (without its trailers).
    #[derive(Debug)]
    pub struct BodyStream<T> {
        #[pin]
        inner: T,
    }
}

impl<T> BodyStream<T> {
    /// Adapts `inner`.
    pub fn new(inner: T) -> BodyStream<T> {
        BodyStream { inner }
    }
}

impl<S, E> Body for BodyStream<S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        self.project().inner.poll_next(cx).map(|item| item.map(|bytes| bytes.map(Frame::data)))
    }
}

impl<B: Body<Data = Bytes>> Stream for BodyStream<B> {
    type Item = Result<Bytes, B::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.project().inner;
        loop {
            match ready!(inner.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
