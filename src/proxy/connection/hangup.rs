//! Detects a client that disconnects while hyper does not read.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::connection::WaitingPlace;

/// The most bytes that are read ahead of a further request or of an unwanted body. Behind more bytes, a disconnect
/// is noticed only if the end of the connection has arrived.
const MOST: usize = 4 << 10;
/// The bytes of one read.
const STEP: usize = 1 << 10;
/// The interval of checking for the end of the connection behind unread bytes.
const GLANCE: Duration = Duration::from_secs(1);

/// A connection that can report its end before everything is read.
pub(super) trait Closable {
    /// Whether the peer has closed or reset the connection.
    fn is_closed(&self) -> bool;
}

/// A client's connection that detects its end while a request runs. hyper detects it only by reading, and hyper
/// does not read while it holds a further request or while nobody takes the body of the running one.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    place: Arc<WaitingPlace>,
    /// The bytes that were read and not handed to hyper.
    ahead: BytesMut,
    /// Nothing follows `ahead`.
    over: bool,
    /// hyper has found nothing to read since the last check, so that its task is woken when something arrives.
    awaited: bool,
    /// The time of the next check for the end. Set only while there is too much to read.
    glance: Option<Pin<Box<Sleep>>>,
    /// How long a client may read nothing of a response that holds a slot; zero: no limit.
    patience: Duration,
    /// The bytes that are written now belong to a response that held a slot.
    owes: bool,
    /// The end of that time, while the client reads nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, place: Arc<WaitingPlace>) -> Watched<S> {
        Watched {
            stream,
            place,
            ahead: BytesMut::new(),
            over: false,
            awaited: false,
            glance: None,
            patience: Duration::ZERO,
            owes: false,
            stall: None,
        }
    }

    /// Disconnects a client that reads nothing of a response that holds a slot for this long; zero: never.
    pub(super) fn with_patience(mut self, patience: Duration) -> Watched<S> {
        self.patience = patience;
        self
    }

    /// Notes whether the bytes that are written now belong to a response that held a slot.
    pub(super) fn owes(&mut self, owes: bool) {
        self.owes = owes;
    }

    /// Whether the client has read nothing of a response that holds or held a slot for too long.
    fn is_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        if self.patience.is_zero() || !(self.owes || self.place.holds_slot()) {
            self.stall = None;
            return false;
        }
        let patience = self.patience;
        let timer = self.stall.get_or_insert_with(|| Box::pin(sleep(patience)));
        timer.as_mut().poll(cx).is_ready()
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Closable + Unpin> Watched<S> {
    /// Fails if the client has disconnected before the end of its response. Otherwise the task is woken when it
    /// does.
    fn look(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.awaited) || !self.place.asks() {
            return Ok(());
        }
        while !self.over && self.ahead.len() < MOST {
            // Not into `ahead`, since there is usually nothing to read and no buffer is needed then.
            let mut step = [MaybeUninit::uninit(); STEP];
            let mut step = ReadBuf::uninit(&mut step);
            match Pin::new(&mut self.stream).poll_read(cx, &mut step) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            }
            self.over = step.filled().is_empty();
            self.ahead.extend_from_slice(step.filled());
            // hyper may wait for these bytes and must be woken.
            cx.waker().wake_by_ref();
        }
        if self.over || self.ends_unread(cx) { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Unread bytes hide the end of the connection, for example an upload that the upstream does not accept.
    fn ends_unread(&mut self, cx: &mut Context<'_>) -> bool {
        let timer = self.glance.get_or_insert_with(|| Box::pin(sleep(GLANCE)));
        while timer.as_mut().poll(cx).is_ready() {
            if self.stream.is_closed() {
                return true;
            }
            timer.as_mut().reset(Instant::now() + GLANCE);
        }
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let taken = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..taken]);
            self.ahead.advance(taken);
            return Poll::Ready(Ok(()));
        }
        if self.over {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.awaited = read.is_pending();
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Closable + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if written.is_ready() {
            self.stall = None;
        } else if self.is_stalled(cx) {
            self.place.stall();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        } else {
            self.look(cx)?;
        }
        written
    }

    /// hyper flushes each time after it has done all it can.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(self.look(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicBool, Ordering::Relaxed},
        task::{Wake, Waker},
        time::Duration,
    };

    use bytes::Bytes;
    use http::Response;
    use http_body_util::Full;
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        task::JoinHandle,
        time::timeout,
    };

    use super::*;
    use crate::connection::Places;

    impl Closable for DuplexStream {
        fn is_closed(&self) -> bool {
            false
        }
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

    /// A client, and a connection whose requests are answered at once or never.
    fn served(at_once: bool) -> (DuplexStream, JoinHandle<hyper::Result<()>>) {
        let (near, far) = duplex(1 << 16);
        let place = Places::default().add(0);
        let watched = Watched::new(near, place.clone());
        let service = service_fn(move |_| {
            let asked = place.ask();
            async move {
                if !at_once {
                    std::future::pending::<()>().await;
                }
                drop(asked);
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"answer"))))
            }
        });
        (far, tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(watched), service)))
    }

    async fn soon<F: Future>(future: F) -> F::Output {
        timeout(Duration::from_secs(60), future).await.expect("it never happens")
    }

    #[tokio::test(start_paused = true)]
    async fn departure_behind_unread_data_is_noticed() {
        for behind in [0, 1, GET.len(), 3 * GET.len(), MOST] {
            let (mut client, connection) = served(false);
            client.write_all(GET).await.unwrap();
            for piece in GET.repeat(200)[..behind].chunks(STEP / 3) {
                tokio::task::yield_now().await;
                client.write_all(piece).await.unwrap();
            }
            drop(client);
            assert!(soon(connection).await.unwrap().is_err(), "{behind} bytes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn departure_behind_more_data_than_is_read_ahead_is_left_to_the_system() {
        let (mut client, connection) = served(false);
        // hyper holds the first of them.
        client.write_all(&GET.repeat(2)).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(&vec![b'a'; 3 * MOST]).await.unwrap();
        drop(client);
        timeout(Duration::from_secs(60), connection).await.expect_err("it is not noticed, nor all read");
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_read_ahead_are_served_even_if_nothing_follows() {
        let (mut client, connection) = served(true);
        // hyper alone would take the end behind the last complete request for a disconnect.
        client.write_all(&[&GET.repeat(20), &b"G"[..]].concat()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answers = String::new();
        soon(client.read_to_string(&mut answers)).await.unwrap();
        assert_eq!(answers.matches("answer").count(), 20);
        drop(connection);
    }

    #[tokio::test]
    async fn reader_waiting_for_bytes_read_ahead_is_woken() {
        struct Woken(AtomicBool);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Relaxed);
            }
        }
        let (near, mut far) = duplex(1 << 16);
        let place = Places::default().add(0);
        let _asked = place.ask();
        let mut watched = Watched::new(near, place.clone());
        let mut nobody = Context::from_waker(Waker::noop());
        let mut byte = [0];
        assert!(Pin::new(&mut watched).poll_read(&mut nobody, &mut ReadBuf::new(&mut byte)).is_pending());
        assert!(Pin::new(&mut watched).poll_flush(&mut nobody).is_ready());
        far.write_all(b"a").await.unwrap();
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        assert!(Pin::new(&mut watched).poll_flush(&mut Context::from_waker(&waker)).is_ready());
        assert!(woken.0.load(Relaxed));
    }

    #[tokio::test]
    async fn bytes_read_ahead_come_first_and_in_order() {
        let (near, mut far) = duplex(1 << 16);
        let place = Places::default().add(0);
        let _asked = place.ask();
        let mut watched = Watched::new(near, place.clone());
        let sent: Vec<u8> = (0..3 * MOST).map(|place| (place % 251) as u8).collect();
        far.write_all(&sent).await.unwrap();
        watched.flush().await.unwrap();
        assert!((MOST..MOST + STEP).contains(&watched.ahead.len()));
        drop(far);
        let mut read = Vec::new();
        watched.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, sent);
    }
}
