//! A connection that is reset unless its last response is complete.

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

use super::hangup::Closable;
use crate::tls::{self, Stream};

/// A client's connection. In HTTP/1.0 the end of the connection ends the body, so that an incomplete response would
/// look complete. If the connection is dropped early, by a failure, a panic or the deadline of a drain, it is
/// reset.
#[derive(Debug)]
pub(super) struct Resets {
    stream: Stream,
    armed: Arc<AtomicBool>,
}

impl Resets {
    pub(super) fn new(stream: Stream) -> Resets {
        Resets { stream, armed: Arc::default() }
    }

    /// Whether a drop resets the connection. The code that serves the connection sets it.
    pub(super) fn armed(&self) -> Arc<AtomicBool> {
        self.armed.clone()
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Relaxed)
    }

    /// The socket below TLS.
    pub(super) fn socket(&self) -> &TcpStream {
        tls::socket(&self.stream)
    }

    /// Notes that the last response is complete.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Relaxed);
    }
}

impl Drop for Resets {
    fn drop(&mut self) {
        if self.is_armed()
            && let Err(error) = self.socket().set_zero_linger()
        {
            tracing::debug!(%error, "failed to reset a connection");
        }
    }
}

impl Closable for Resets {
    fn is_closed(&self) -> bool {
        // Unread bytes do not hide the end, since the system reports both at once.
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
