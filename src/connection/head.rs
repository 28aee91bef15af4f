//! The head of a request while it arrives: when it began, and what its parser does not tell of it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::WaitingPlace;

/// A connection whose heads are looked at as they come.
///
/// hyper answers a head that it cannot read with a status and no word. That answer goes nowhere, and the status is kept
/// for whoever serves the connection, who says what is wrong.
#[derive(Debug)]
pub(crate) struct Heads<S> {
    stream: S,
    place: Arc<WaitingPlace>,
    /// All that hyper had to write was written: the next that it writes before there is a request is its verdict.
    flushed: bool,
    /// The same, when the head began.
    is_next: bool,
    /// The client does not take what is written.
    stuck: bool,
    verdict: Option<u16>,
}

impl<S> Heads<S> {
    pub(crate) fn new(stream: S, place: Arc<WaitingPlace>) -> Heads<S> {
        Heads { stream, place, flushed: true, is_next: true, stuck: false, verdict: None }
    }

    /// The connection, and the status with which the last head was refused by its parser.
    pub(crate) fn into_parts(self) -> (S, Option<u16>) {
        (self.stream, self.verdict)
    }

    /// Notes an error that says that nobody is there.
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
        // While a request runs, it may be its body.
        if !self.place.asks() && self.place.heard() {
            self.is_next = self.flushed;
        }
    }
}

/// The status of a response that begins so.
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
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.noted(flushed)?;
        self.flushed = true;
        if std::mem::take(&mut self.stuck) {
            self.place.stuck(false);
        }
        Poll::Ready(Ok(()))
    }

    /// All was written and flushed. Whether the connection then ends or is reset is its owner's to say.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
