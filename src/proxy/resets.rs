//! A connection that must not look as if it had come to its end.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::departure::Closable;
use crate::tls::{self, Stream};

/// A client's connection. The body of an answer in HTTP/1.0 ends with its connection, so that one which is dropped
/// in the middle, by a failure, a panic or the deadline of a drain, is reset: it would look whole otherwise.
#[derive(Debug)]
pub(super) struct Resets {
    stream: Stream,
    armed: Arc<AtomicBool>,
}

impl Resets {
    pub(super) fn new(stream: Stream) -> Resets {
        Resets { stream, armed: Arc::default() }
    }

    /// Whether a drop resets it, for whoever serves it to say.
    pub(super) fn armed(&self) -> Arc<AtomicBool> {
        self.armed.clone()
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Relaxed)
    }

    /// The socket below.
    pub(super) fn socket(&self) -> &TcpStream {
        tls::socket(&self.stream)
    }

    /// It has come to its end.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Relaxed);
    }
}

impl Drop for Resets {
    fn drop(&mut self) {
        if self.is_armed()
            && let Err(error) = self.socket().set_zero_linger()
        {
            tracing::debug!(%error, "a connection ends without a reset");
        }
    }
}

impl Closable for Resets {
    fn is_closed(&self) -> bool {
        // What is not read does not hide it: the system tells both at once.
        let ready = tls::socket(&self.stream).ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
    }
}

impl AsyncRead for Resets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Resets {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
