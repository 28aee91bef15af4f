//! Merges writes that follow each other closely.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::proxy::unwritten::Unwritten;

/// How long bytes are held after an earlier write. They are held for one turn of the runtime, and for further turns
/// while more bytes are added, but no longer than this.
const WINDOW: Duration = Duration::from_millis(1);
/// From this many bytes on, nothing is held.
const ENOUGH: usize = 16 << 10;

/// A client's connection that merges writes. hyper hands over one frame at a time and flushes each. In a stream
/// that arrives faster than it can be handed on, each record would cost a system call and a packet, 11 µs of CPU
/// time, where merged writes cost less than 3 µs. This type stores no bytes: hyper keeps what it could not write. A
/// chunk that arrives alone, like the records of a model, is written at once.
#[derive(Debug)]
pub(super) struct Gathered<S> {
    stream: S,
    written: Option<Instant>,
    held: Option<HeldRecords>,
    unwritten: Unwritten,
}

#[derive(Clone, Copy, Debug)]
struct HeldRecords {
    since: Instant,
    /// The number of bytes at the last check.
    bytes: usize,
}

impl<S> Gathered<S> {
    pub(super) fn new(stream: S, unwritten: Unwritten) -> Gathered<S> {
        Gathered { stream, written: None, held: None, unwritten }
    }

    pub(super) fn into_inner(self) -> S {
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
        self.held = hold.then_some(HeldRecords { since, bytes });
        hold
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
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

    // Vectored writes are off, so that hyper merges any number of frames into one buffer instead of a list of
    // sixteen.

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unwritten.flushed(cx);
        Poll::Ready(Ok(()))
    }

    /// Does not shut the stream down. All bytes are flushed, and the owner decides how the connection closes.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    use bytes::Bytes;
    use futures_util::stream;
    use http::Response;
    use http_body_util::StreamBody;
    use hyper::{body::Frame, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::io::InspectWriter;

    use super::*;

    #[tokio::test]
    async fn gather_sends_lone_chunk_at_once() {
        let mut gathered = Gathered::new((), Unwritten::default());
        let now = Instant::now();
        assert!(!gathered.holds(100, now));
        gathered.written = Some(now);
        assert!(!gathered.holds(100, now + WINDOW));
    }

    #[tokio::test]
    async fn gather_holds_following_chunks_no_longer_than_the_window() {
        let mut gathered = Gathered::new((), Unwritten::default());
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

    /// The bytes that hyper writes for a response whose frames come with a pause between them, and the number of
    /// writes.
    async fn served(frames: u32, pause: Duration) -> (Vec<u8>, usize) {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let writes = Arc::new(AtomicUsize::new(0));
        let counting = InspectWriter::new(near, {
            let writes = writes.clone();
            move |_| {
                writes.fetch_add(1, Relaxed);
            }
        });
        let service = service_fn(move |_| async move {
            let frames = stream::unfold(0, move |number| async move {
                // As with hyper's client, another task runs between two frames.
                tokio::task::yield_now().await;
                if number > 0 && !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                let frame = Frame::data(Bytes::from(format!("{number:08}")));
                (number < frames).then_some((Ok::<_, Infallible>(frame), number + 1))
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(frames))))
        });
        let server = tokio::spawn(
            http1::Builder::new()
                .serve_connection(TokioIo::new(Gathered::new(counting, Unwritten::default())), service),
        );
        far.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        server.await.unwrap().unwrap();
        (read, writes.load(Relaxed))
    }

    fn body(frames: u32) -> String {
        (0..frames).map(|number| format!("8\r\n{number:08}\r\n")).collect::<String>() + "0\r\n\r\n"
    }

    #[tokio::test(start_paused = true)]
    async fn gather_writes_a_flood_in_few_pieces_and_whole() {
        let (read, writes) = served(10_000, Duration::ZERO).await;
        assert!(String::from_utf8(read).unwrap().ends_with(&("\r\n\r\n".to_owned() + &body(10_000))));
        // Each frame has 13 bytes, and 16 KiB are not held.
        assert!(writes < 20, "{writes} writes");
    }

    #[tokio::test(start_paused = true)]
    async fn gather_writes_lone_chunks_separately() {
        let (read, writes) = served(100, WINDOW * 3).await;
        assert!(String::from_utf8(read).unwrap().ends_with(&("\r\n\r\n".to_owned() + &body(100))));
        // The head and the first frame may be merged, and so may the last frame and the end.
        assert!((100..=102).contains(&writes), "{writes} writes");
    }
}
