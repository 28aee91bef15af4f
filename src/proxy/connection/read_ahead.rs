//! Takes the part of a response that the client has not read, so that a slow client does not keep a slot at an upstream
//! that has finished.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use prometheus::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::hangup::{Closable, Watched};
use crate::connection::WaitingPlace;

/// A client's connection that accepts more than the system does, while the response holds a slot. hyper writes what is
/// in its own buffer, polls the body again, and so takes the end of the upstream's response earlier. A client that reads
/// in time costs no memory and no copy. In all other cases the connection accepts what the system accepts, so that a slow
/// client still makes the upstream wait.
#[derive(Debug)]
pub(super) struct ReadAhead<W> {
    stream: W,
    place: Arc<WaitingPlace>,
    /// The most bytes that are held.
    limit: usize,
    held: UnreadBytes,
}

/// The bytes that are written by hyper and not yet accepted by the system, and the metric that shows them.
#[derive(Debug)]
struct UnreadBytes {
    bytes: VecDeque<u8>,
    shown: Arc<Gauge>,
}

impl UnreadBytes {
    fn add(&mut self, bytes: &[u8], limit: usize) {
        let length = self.bytes.len() + bytes.len();
        let room = length.next_power_of_two().min(limit);
        self.bytes.reserve_exact(room.saturating_sub(self.bytes.len()));
        self.bytes.extend(bytes);
        self.shown.add(bytes.len() as f64);
    }

    fn remove(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.shown.sub(count as f64);
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }
}

impl Drop for UnreadBytes {
    fn drop(&mut self) {
        self.remove(self.bytes.len());
    }
}

impl<S> ReadAhead<Watched<S>> {
    /// Holds at most `limit` bytes, which `shown` shows.
    pub(super) fn new(
        stream: Watched<S>,
        place: Arc<WaitingPlace>,
        limit: usize,
        shown: Arc<Gauge>,
    ) -> ReadAhead<Watched<S>> {
        ReadAhead { stream, place, limit, held: UnreadBytes { bytes: VecDeque::new(), shown } }
    }

    /// The connection without the bytes that are held.
    pub(super) fn into_inner(self) -> S {
        self.stream.into_inner()
    }
}

impl<S: AsyncRead + AsyncWrite + Closable + Unpin> ReadAhead<Watched<S>> {
    /// Ready when the system has accepted all bytes that were held.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.bytes.is_empty() {
            self.stream.owes(true);
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.held.bytes.as_slices().0))?;
            self.held.remove(written);
        }
        self.stream.owes(false);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<Watched<S>> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Closable + Unpin> AsyncWrite for ReadAhead<Watched<S>> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.held.bytes.is_empty() || this.poll_drain(cx)?.is_ready() {
            let written = Pin::new(&mut this.stream).poll_write(cx, buf);
            if written.is_ready() {
                return written;
            }
        }
        // The system accepts nothing now, and wakes the task when it does.
        let taken = buf.len().min(this.limit - this.held.bytes.len());
        if taken == 0 || !this.place.holds_slot() {
            return Poll::Pending;
        }
        this.held.add(&buf[..taken], this.limit);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.held.bytes.is_empty() {
            ready!(self.poll_drain(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::connection::Places;

    const SYSTEM: usize = 64;
    const LIMIT: usize = 1000;

    struct Setup {
        connection: ReadAhead<Watched<DuplexStream>>,
        client: DuplexStream,
        place: Arc<WaitingPlace>,
        shown: Arc<Gauge>,
        slot: Option<Arc<()>>,
    }

    fn setup(limit: usize, patience: Duration) -> Setup {
        let (near, client) = duplex(SYSTEM);
        let place = Places::default().add(0);
        let shown = Arc::new(Gauge::new("held", "held").unwrap());
        let slot = Arc::new(());
        place.hold(Arc::downgrade(&slot));
        let watched = Watched::new(near, place.clone()).with_patience(patience);
        let connection = ReadAhead::new(watched, place.clone(), limit, shown.clone());
        Setup { connection, client, place, shown, slot: Some(slot) }
    }

    /// Writes until the connection accepts no more.
    fn write_all_it_takes(setup: &mut Setup, bytes: &[u8]) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        while let Poll::Ready(count) = Pin::new(&mut setup.connection).poll_write(&mut cx, &bytes[written..])
        {
            written += count.unwrap();
            if written == bytes.len() {
                break;
            }
        }
        written
    }

    fn numbered(count: usize) -> Vec<u8> {
        (0..count).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn unread_bytes_of_response_with_a_slot_are_held_up_to_the_limit_and_arrive_in_order() {
        let mut setup = setup(LIMIT, Duration::ZERO);
        let bytes = numbered(10 * LIMIT);
        assert_eq!(write_all_it_takes(&mut setup, &bytes), SYSTEM + LIMIT);
        assert_eq!(setup.shown.get(), LIMIT as f64);
        assert!(setup.connection.held.bytes.capacity() <= LIMIT);
        let mut written = SYSTEM + LIMIT;
        let mut read = vec![0; 50];
        setup.client.read_exact(&mut read).await.unwrap();
        written += write_all_it_takes(&mut setup, &bytes[written..]);
        assert_eq!(written, 50 + SYSTEM + LIMIT);
        let Setup { mut connection, mut client, shown, .. } = setup;
        let flushed = tokio::spawn(async move {
            connection.flush().await.unwrap();
            drop(connection);
        });
        client.read_to_end(&mut read).await.unwrap();
        flushed.await.unwrap();
        assert_eq!(read, bytes[..written]);
        assert_eq!(shown.get(), 0.0);
    }

    #[tokio::test]
    async fn response_without_a_slot_and_limit_of_zero_hold_nothing() {
        for (limit, holds_slot) in [(LIMIT, false), (0, true)] {
            let mut setup = setup(limit, Duration::ZERO);
            setup.slot = setup.slot.filter(|_| holds_slot);
            assert_eq!(write_all_it_takes(&mut setup, &numbered(10 * LIMIT)), SYSTEM);
            assert_eq!(setup.shown.get(), 0.0);
        }
    }

    #[tokio::test]
    async fn bytes_held_are_freed_when_the_connection_is_dropped() {
        let mut setup = setup(LIMIT, Duration::ZERO);
        write_all_it_takes(&mut setup, &numbered(500));
        assert_eq!(setup.shown.get(), (500 - SYSTEM) as f64);
        drop(setup.connection);
        assert_eq!(setup.shown.get(), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_reads_nothing_is_disconnected_though_its_slot_is_free_already() {
        let patience = Duration::from_secs(120);
        let mut setup = setup(LIMIT, patience);
        write_all_it_takes(&mut setup, &numbered(500));
        // The upstream has finished.
        setup.slot = None;
        let began = tokio::time::Instant::now();
        assert_eq!(setup.connection.flush().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), patience);
        assert!(setup.place.has_stalled());
    }
}
