//! Delays the failure of a response until everything before it is written to the client.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::proxy::unwritten::Unwritten;

pin_project! {
    /// A body that delays its failure until everything before it is written. When a body fails, hyper drops what it
    /// has not written, and the last records of an upstream often arrive together with the failure.
    #[derive(Debug)]
    pub(super) struct Cut<B: Body> {
        #[pin]
        inner: B,
        unwritten: Unwritten,
        failure: Option<B::Error>,
    }
}

impl<B: Body> Cut<B> {
    pub(super) fn new(inner: B, unwritten: Unwritten) -> Cut<B> {
        // The head of the response is not written yet.
        unwritten.added();
        Cut { inner, unwritten, failure: None }
    }
}

impl<B: Body> Body for Cut<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if this.failure.is_none() {
            match ready!(this.inner.poll_frame(cx)) {
                Some(Err(failure)) => *this.failure = Some(failure),
                polled => {
                    this.unwritten.added();
                    return Poll::Ready(polled);
                }
            }
        }
        if this.unwritten.is_over() { Poll::Ready(this.failure.take().map(Err)) } else { Poll::Pending }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io, time::Duration};

    use bytes::Bytes;
    use futures_util::stream;
    use http::Response;
    use http_body_util::StreamBody;
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::{super::batch::Gathered, *};

    /// The bytes that a client receives of a response that fails right after these frames, over a pipe of this size.
    async fn got(frames: u32, pipe: usize) -> String {
        let (near, mut far) = tokio::io::duplex(pipe);
        let unwritten = Unwritten::default();
        let service = {
            let unwritten = unwritten.clone();
            service_fn(move |_| {
                let frames = (0..frames).map(|number| Ok(Frame::data(Bytes::from(format!("{number:08}")))));
                let broken = stream::iter(frames.chain([Err(io::Error::other("broken"))]));
                let body = Cut::new(StreamBody::new(broken), unwritten.clone());
                async move { Ok::<_, Infallible>(Response::new(body)) }
            })
        };
        let gathered = Gathered::new(near, unwritten);
        let server = tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(gathered), service));
        far.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut read = Vec::new();
        timeout(Duration::from_secs(60), far.read_to_end(&mut read)).await.expect("it ends").unwrap();
        assert!(server.await.unwrap().unwrap_err().is_user());
        String::from_utf8(read).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn cut_response_writes_all_bytes_before_the_cut() {
        for frames in [0, 1, 3, 5_000] {
            for pipe in [1 << 20, 7] {
                let body = (0..frames).map(|number| format!("8\r\n{number:08}\r\n")).collect::<String>();
                let got = got(frames, pipe).await;
                assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{frames} frames by {pipe}: {got:?}");
                assert!(got.ends_with(&format!("\r\n\r\n{body}")), "{frames} frames by {pipe}: {got:?}");
            }
        }
    }
}
