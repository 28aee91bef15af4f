//! The body of a request or of a response. Until both end, the connection does not wait for a request.

use std::{
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Asked;

pin_project! {
    /// A body and the request that it belongs to.
    #[derive(Debug)]
    pub(crate) struct Attended<B> {
        #[pin]
        body: B,
        half: Half,
    }
}

/// Notes whether the body of a request is dropped before its end.
#[derive(Debug)]
struct Half {
    asked: Asked,
    is_unread: bool,
}

impl Drop for Half {
    fn drop(&mut self) {
        if self.is_unread {
            self.asked.0.unread.store(true, Relaxed);
        }
    }
}

impl<B: Body> Attended<B> {
    /// The body of a request.
    pub(crate) fn request(body: B, asked: Asked) -> Attended<B> {
        let is_unread = !body.is_end_stream();
        Attended { body, half: Half { asked, is_unread } }
    }

    /// The body of a response.
    pub(crate) fn answer(body: B, asked: Asked) -> Attended<B> {
        Attended { body, half: Half { asked, is_unread: false } }
    }
}

impl<B: Body> Body for Attended<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if this.half.is_unread {
            // Trailers are the last frame.
            let is_last = frame.as_ref().is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers));
            this.half.is_unread = !is_last && !this.body.is_end_stream();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
