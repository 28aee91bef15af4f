//! Observes a request head while it arrives: when it began, and whether its target has a fragment, which hyper
//! omits.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::WaitingPlace;

/// A connection that observes the heads that arrive on it.
///
/// hyper answers a head that it cannot parse with a status and an empty body. This type discards that response and
/// keeps the status, so that the owner of the connection can send an explanation.
#[derive(Debug)]
pub(crate) struct Heads<S> {
    stream: S,
    place: Arc<WaitingPlace>,
    /// All bytes that hyper had to write are written. If it writes again before a request begins, it refuses the
    /// head.
    flushed: bool,
    /// The value of `flushed` when the head began.
    is_next: bool,
    /// The client does not read the response.
    stuck: bool,
    verdict: Option<u16>,
}

impl<S> Heads<S> {
    pub(crate) fn new(stream: S, place: Arc<WaitingPlace>) -> Heads<S> {
        Heads { stream, place, flushed: true, is_next: true, stuck: false, verdict: None }
    }

    /// The connection, and the status with which hyper refused the last head.
    pub(crate) fn into_parts(self) -> (S, Option<u16>) {
        (self.stream, self.verdict)
    }

    /// Records an error that means that the client has vanished.
    fn noted<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done
            && error.kind() == io::ErrorKind::TimedOut
        {
            self.place.missed();
        }
        done
    }

    fn arrived(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.place.arrived(bytes);
        // While a request runs, the bytes may be its body.
        if !self.place.asks() && self.place.heard() {
            self.is_next = self.flushed;
        }
    }
}

/// The status of a response, from its first bytes.
fn status(response: &[u8]) -> Option<u16> {
    let rest = response.strip_prefix(b"HTTP/1.1 ").or_else(|| response.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let there = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.noted(read)?;
        self.arrived(&buf.filled()[there..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_next && self.place.is_in_head() {
            self.verdict = self.verdict.or_else(|| status(buf));
            return Poll::Ready(Ok(buf.len()));
        }
        self.flushed = false;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if written.is_pending() && !self.stuck {
            self.stuck = true;
            self.place.stuck(true);
        }
        written.map(|written| self.noted(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() && !self.stuck {
            self.stuck = true;
            self.place.stuck(true);
        }
        self.noted(ready!(flushed))?;
        self.flushed = true;
        if std::mem::take(&mut self.stuck) {
            self.place.stuck(false);
        }
        Poll::Ready(Ok(()))
    }

    /// Does not shut the stream down. All bytes are flushed, and the owner decides how the connection closes.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
