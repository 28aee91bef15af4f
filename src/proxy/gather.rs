//! Writes that follow each other at once become one.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

/// What is to be written so soon after a write is held for a turn of the runtime, and for further turns while more is
/// added, but no longer than this.
const WINDOW: Duration = Duration::from_millis(1);
/// So many bytes are not held.
const ENOUGH: usize = 16 << 10;

/// A client's connection. hyper hands over one frame at a time, and flushes each: of a stream that arrives faster
/// than it can be handed on, each record would be a system call and a packet, which is 13 µs of a core where the
/// record itself takes 2. Nothing is held in here: hyper keeps what it could not write yet. A chunk that comes
/// alone, as the records of a model do, goes at once.
#[derive(Debug)]
pub(super) struct Gathered {
    stream: TcpStream,
    written: Option<Instant>,
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    since: Instant,
    /// Bytes that there were when they were last looked at.
    bytes: usize,
}

impl Gathered {
    pub(super) fn new(stream: TcpStream) -> Gathered {
        Gathered { stream, written: None, held: None }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Whether to wait for more than these bytes.
    fn holds(&mut self, bytes: usize, now: Instant) -> bool {
        let hold = bytes < ENOUGH
            && match self.held {
                None => self.written.is_some_and(|written| now - written < WINDOW),
                Some(held) => bytes > held.bytes && now - held.since < WINDOW,
            };
        let since = self.held.map_or(now, |held| held.since);
        self.held = hold.then_some(Held { since, bytes });
        hold
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        if self.holds(buf.len(), now) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.written = Some(now);
        Poll::Ready(written)
    }

    // Not vectored: hyper then puts frames into one buffer, as many as come, in place of a list of sixteen.

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn gathered() -> (Gathered, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Gathered::new(listener.accept().await.unwrap().0), far)
    }

    #[tokio::test]
    async fn what_comes_alone_goes_at_once() {
        let (mut gathered, _far) = gathered().await;
        let now = Instant::now();
        assert!(!gathered.holds(100, now));
        gathered.written = Some(now);
        assert!(!gathered.holds(100, now + WINDOW));
    }

    #[tokio::test]
    async fn what_follows_is_held_while_more_is_added_and_no_longer_than_the_window() {
        let (mut gathered, _far) = gathered().await;
        let written = Instant::now();
        gathered.written = Some(written);
        let since = written + WINDOW / 2;
        assert!(gathered.holds(100, since));
        assert!(gathered.holds(200, since));
        assert!(!gathered.holds(200, since), "nothing was added");
        assert!(gathered.holds(200, since), "a new wait");
        assert!(gathered.holds(300, since + WINDOW / 2));
        assert!(!gathered.holds(400, since + WINDOW), "too long");
        assert!(gathered.holds(ENOUGH - 1, since));
        assert!(!gathered.holds(ENOUGH, since), "enough");
    }

    #[tokio::test]
    async fn every_byte_of_a_burst_arrives() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let (mut gathered, mut far) = gathered().await;
        let writing = tokio::spawn(async move {
            for number in 0..1000_u32 {
                gathered.write_all(&number.to_be_bytes()).await.unwrap();
            }
            gathered.shutdown().await.unwrap();
        });
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap();
        let sent: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
        assert_eq!(read, sent);
    }
}
