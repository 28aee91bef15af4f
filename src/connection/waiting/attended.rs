//! The body of a request or of an answer that is on its way: until both end, the connection waits for nothing.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Asked;

pin_project! {
    /// A body, and the request that it belongs to.
    #[derive(Debug)]
    pub(crate) struct Attended<B> {
        #[pin]
        body: B,
        asked: Asked,
    }
}

impl<B> Attended<B> {
    pub(crate) fn new(body: B, asked: Asked) -> Attended<B> {
        Attended { body, asked }
    }
}

impl<B: Body> Body for Attended<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
