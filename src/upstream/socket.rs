//! A connection to an upstream as the system knows it: that it has ended, and what came before its end.

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

/// So much is read at once of what the runtime has not announced yet.
const STEP: usize = 1 << 10;

/// A TCP connection, below TLS.
///
/// - A read that nothing announced asks the system. The runtime learns only in its next turn that an upstream has closed
///   an idle connection. A request that is written before that is lost, and may not be sent twice.
/// - After a reset, writes go nowhere and do not fail: an upstream that refuses a request early answers first and resets
///   then. Its answer is read, and the reset is told at its end.
/// - A write that makes no progress for a limit fails.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// The last read has found nothing.
    is_dry: bool,
    /// Why nothing that is written arrives any more.
    reset: Option<io::Error>,
    /// With the upstream while it takes nothing; `None`: no limit.
    patience: Option<Patience>,
}

/// The upstream took nothing of a request for so long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("took nothing of the request for {0:?}")]
pub(super) struct Stalled(pub(super) Duration);

impl Stalled {
    /// The limit, if that is why a write failed.
    pub(super) fn of(error: &io::Error) -> Option<Stalled> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl Socket {
    /// `limit`: how long a write may make no progress; zero is no limit.
    pub(super) fn new(stream: TcpStream, limit: Duration) -> Socket {
        Socket { stream, is_dry: false, reset: None, patience: Patience::of(limit) }
    }

    /// Reads what the system has, whether the runtime was told of it or not.
    fn read_unannounced(&self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut step = [0; STEP];
        let most = STEP.min(buf.remaining());
        match (&*SockRef::from(&self.stream)).read(&mut step[..most]) {
            Ok(count) => {
                buf.put_slice(&step[..count]);
                Poll::Ready(Ok(()))
            }
            // The task is woken when there is something: the runtime has been asked before.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// What came of writing `length` bytes.
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

/// The other end takes nothing any more, and reading comes to an end soon.
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
        // hyper reads until there is nothing. If it reads again, and there is nothing still, it was not woken by what
        // came but for a request that is to be sent. While chunks come, this asks nobody.
        if read.is_pending() && std::mem::replace(&mut this.is_dry, true) && buf.remaining() > 0 {
            read = this.read_unannounced(buf);
        }
        let read = ready!(read);
        this.is_dry = false;
        let is_over = buf.filled().len() == before && buf.remaining() > 0;
        // A reset ends nothing: what ends with its connection would look whole.
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
