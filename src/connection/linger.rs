//! Closes a connection whose client may still be sending, in the stages of RFC 9112 9.6.
//!
//! If a socket is closed while bytes of the client are unread or still arrive, the connection is reset, and the
//! client's system drops the part of the response that its program has not read. So the sidecar first sends the
//! response and the end of the stream, and then reads and drops what the client still sends, until the client
//! closes too.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Notice, WaitingPlace};

/// The bytes of one read.
const STEP: usize = 16 << 10;
/// The reads before other tasks get their turn.
const STEPS: usize = 16;

/// The limits of reading after the response. A slow client needs time to send the rest of its request before it
/// reads the response. A client that never ends must not hold the connection for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linger {
    /// The total time.
    total: Duration,
    /// The time without a byte.
    silence: Duration,
    /// The time without a byte while the sidecar drains.
    draining: Duration,
    /// The total number of bytes.
    most: usize,
}

/// Why reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lingered {
    /// The client closed its side, or the connection is gone. No byte of the response is lost.
    Closed,
    /// A limit was reached.
    Over,
    /// All connections are taken, and this one gave way.
    GaveWay,
}

impl Default for Linger {
    fn default() -> Linger {
        // The times are those of nginx's `lingering_time` and `lingering_timeout`. 64 MiB is more than the largest
        // request of an interactive client (images of 20 MB are 27 MB in Base64), and less than a model blob, whose
        // clients read while they write.
        Linger {
            total: Duration::from_secs(30),
            silence: Duration::from_secs(5),
            draining: Duration::from_millis(250),
            most: 64 << 20,
        }
    }
}

impl Linger {
    /// Reads and drops what the client sends after the response.
    pub(crate) async fn linger(
        self,
        socket: &TcpStream,
        place: &WaitingPlace,
        draining: &CancellationToken,
    ) -> Lingered {
        place.linger();
        let drained = async {
            draining.cancelled().await;
            Linger { silence: self.draining, ..self }.read_off(socket).await
        };
        tokio::select! {
            biased;
            told = place.told() => match told {
                Notice::GiveWay => Lingered::GaveWay,
                Notice::Vanished => Lingered::Closed,
            },
            ended = drained => ended,
            ended = self.read_off(socket) => ended,
        }
    }

    /// Does the same for a connection that is not counted among the open ones.
    pub(crate) async fn read_off(self, socket: &TcpStream) -> Lingered {
        let mut heard = Instant::now();
        let end = heard + self.total;
        let mut left = self.most;
        while let Ok(ready) = timeout_at((heard + self.silence).min(end), socket.readable()).await {
            match ready.and_then(|()| dropped(socket)) {
                Ok(0) => return Lingered::Closed,
                Ok(bytes) if bytes >= left => break,
                Ok(bytes) => {
                    left -= bytes;
                    heard = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Lingered::Closed,
            }
        }
        Lingered::Over
    }
}

/// Reads and drops the bytes that are there, in a few steps. Returns their number; 0 at the end of the stream.
fn dropped(socket: &TcpStream) -> io::Result<usize> {
    let mut buffer = [0; STEP];
    let mut bytes = 0;
    for _ in 0..STEPS {
        // Read from the socket itself even with TLS, since nothing needs to be decrypted any more.
        match socket.try_read(&mut buffer) {
            Ok(0) if bytes == 0 => return Ok(0),
            Ok(read) if read > 0 => bytes += read,
            Err(error) if bytes == 0 => return Err(error),
            // The next read returns the end or the error.
            _ => break,
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::timeout,
    };

    use super::*;
    use crate::connection::Places;

    const LONG: Duration = Duration::from_secs(600);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn lingered(bounds: Linger, socket: &TcpStream) -> Lingered {
        let place = Places::default().add(0);
        timeout(LONG, bounds.linger(socket, &place, &CancellationToken::new())).await.expect("it ends")
    }

    #[tokio::test]
    async fn lingering_client_that_sends_all_before_reading_gets_its_response() {
        let (mut client, mut server) = pair().await;
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        let sending = async {
            client.write_all(&vec![b'a'; 20_000_000]).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            drop(client);
            answer
        };
        let bounds = Linger { total: LONG, silence: LONG, ..Linger::default() };
        let (answer, ended) = tokio::join!(sending, lingered(bounds, &server));
        assert_eq!((answer.as_str(), ended), ("answer", Lingered::Closed));
    }

    #[tokio::test]
    async fn lingering_client_that_sends_without_end_is_read_up_to_the_limit() {
        let (mut client, server) = pair().await;
        let sending = async { while client.write_all(&[b'a'; 1 << 16]).await.is_ok() {} };
        let bounds = Linger { total: LONG, silence: LONG, most: 5_000_000, ..Linger::default() };
        let lingering = async {
            let ended = lingered(bounds, &server).await;
            drop(server);
            ended
        };
        assert_eq!(tokio::join!(lingering, sending).0, Lingered::Over);
    }

    #[tokio::test(start_paused = true)]
    async fn lingering_silent_client_is_closed_after_the_silence_limit() {
        let (_client, server) = pair().await;
        let began = Instant::now();
        assert_eq!(lingered(Linger::default(), &server).await, Lingered::Over);
        assert_eq!(began.elapsed(), Linger::default().silence);
    }

    #[tokio::test(start_paused = true)]
    async fn lingering_silent_client_is_closed_soon_in_drain() {
        let (_client, server) = pair().await;
        let (place, draining) = (Places::default().add(0), CancellationToken::new());
        let began = Instant::now();
        let drain = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            draining.cancel();
        };
        let (ended, ()) = tokio::join!(Linger::default().linger(&server, &place, &draining), drain);
        assert_eq!(ended, Lingered::Over);
        assert_eq!(began.elapsed(), Duration::from_millis(100) + Linger::default().draining);
    }

    #[tokio::test]
    async fn lingering_connection_ends_when_replaced() {
        let (_client, server) = pair().await;
        let mut places = Places::default();
        let (place, draining) = (places.add(0), CancellationToken::new());
        let lingering = Linger { silence: LONG, ..Linger::default() };
        let telling = async {
            while !places.make_room(1) {
                tokio::task::yield_now().await;
            }
        };
        let (ended, ()) = tokio::join!(lingering.linger(&server, &place, &draining), telling);
        assert_eq!(ended, Lingered::GaveWay);
    }
}
