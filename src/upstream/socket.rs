//! A TCP connection to an upstream that notices its end early, and reads what came before a reset.

use std::{
    io::{self, IoSlice, Read},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::patience::Patience;

/// The bytes of a read that the runtime has not announced.
const STEP: usize = 1 << 10;

/// A TCP connection, below TLS.
///
/// - A read that the runtime has not announced asks the system. The runtime learns only in its next turn that an
///   upstream has closed an idle connection. A request that is written before that is lost and may not be sent twice.
/// - After a reset, writes are discarded and do not fail. An upstream that refuses a request early sends its response
///   and then resets the connection, so the response is read first, and the reset is reported at its end.
/// - A write that makes no progress for the limit fails.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// The last read found nothing.
    is_dry: bool,
    /// Why written bytes no longer arrive.
    reset: Option<io::Error>,
    /// Measures how long the upstream accepts nothing; `None`: no limit.
    patience: Option<Patience>,
}

/// The upstream accepted no part of a request for this long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("accepted no part of the request for {0:?}")]
pub(super) struct Stalled(pub(super) Duration);

impl Stalled {
    /// The limit, if a write failed because of it.
    pub(super) fn of(error: &io::Error) -> Option<Stalled> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl Socket {
    /// `limit` is how long a write may make no progress; zero: no limit.
    pub(super) fn new(stream: TcpStream, limit: Duration) -> Socket {
        Socket { stream, is_dry: false, reset: None, patience: Patience::of(limit) }
    }

    /// Reads the bytes that the system has, whether the runtime has announced them or not.
    fn read_unannounced(&self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut step = [0; STEP];
        let most = STEP.min(buf.remaining());
        match (&*SockRef::from(&self.stream)).read(&mut step[..most]) {
            Ok(count) => {
                buf.put_slice(&step[..count]);
                Poll::Ready(Ok(()))
            }
            // The task is woken when bytes come, since the runtime was polled before.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Handles the result of writing `length` bytes.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                if let Some(patience) = &mut self.patience {
                    patience.came();
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) if is_reset(&error) => {
                self.reset = Some(error);
                Poll::Ready(Ok(length))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let Some(patience) = &mut self.patience else { return Poll::Pending };
                ready!(patience.poll_over(cx));
                let stalled = Stalled(patience.limit());
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, stalled)))
            }
        }
    }
}

/// Whether the peer accepts nothing more, while its last bytes can still be read.
fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let mut read = Pin::new(&mut this.stream).poll_read(cx, buf);
        // hyper reads until there is nothing. If it reads again and there is still nothing, it was woken for a
        // request that is to be sent. While chunks come, this asks nothing of the system.
        if read.is_pending() && std::mem::replace(&mut this.is_dry, true) && buf.remaining() > 0 {
            read = this.read_unannounced(buf);
        }
        let read = ready!(read);
        this.is_dry = false;
        let is_over = buf.filled().len() == before && buf.remaining() > 0;
        // The reset must not look like a regular end, since a body that ends with its connection would look
        // complete.
        Poll::Ready(this.reset.take_if(|_| is_over).map_or(read, Err))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.reset.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(cx, written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.reset.is_some() {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(cx, written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
