//! A wave of attacking connections.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, interval, sleep_until, timeout, timeout_at},
};

use super::fate::{Fate, Fates};

/// Connections that are established at the same time. More would fill the socket's queue and wait for a TCP
/// retransmission.
const CONNECTING: usize = 512;
/// The longest time to establish a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// The pause between two bytes of a slow attacker.
const DRIP: Duration = Duration::from_secs(1);

/// The behaviour of each connection.
#[derive(Clone, Debug)]
pub(super) struct Wave {
    pub(super) connections: usize,
    /// The bytes that are sent at once.
    pub(super) opening: String,
    /// The bytes that follow at one per second.
    pub(super) drip: &'static str,
    /// Whether the connection reads the response.
    pub(super) reads: bool,
    /// The longest duration of the wave.
    pub(super) lasts: Duration,
}

impl Wave {
    /// Attacks until every connection has ended or the time is over. Call it within a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn run(&self, addr: SocketAddr) -> Result<Fates> {
        let wave = Rc::new(self.clone());
        let until = Instant::now() + self.lasts;
        let connecting = Rc::new(Semaphore::new(CONNECTING));
        let mut attackers = JoinSet::new();
        for _ in 0..self.connections {
            let (wave, connecting) = (wave.clone(), connecting.clone());
            attackers.spawn_local(async move {
                let connection = {
                    let _turn = connecting.acquire().await;
                    timeout(CONNECT, TcpStream::connect(addr)).await
                };
                let began = Instant::now();
                let fate = match connection {
                    Ok(Ok(connection)) => wave.attack(connection, until).await,
                    _ => Fate::Refused,
                };
                (fate, began.elapsed())
            });
        }
        let mut fates = Fates::default();
        while let Some(ended) = attackers.join_next().await {
            let (fate, after) = ended?;
            fates.push(fate, after);
        }
        Ok(fates)
    }

    async fn attack(&self, mut connection: TcpStream, until: Instant) -> Fate {
        if connection.write_all(self.opening.as_bytes()).await.is_err() {
            return Fate::Reset;
        }
        if !self.reads {
            sleep_until(until).await;
            return if matches!(connection.take_error(), Ok(None)) { Fate::Open } else { Fate::Reset };
        }
        let (mut read, mut write) = connection.split();
        let mut answer = [0; 512];
        let drip = async {
            let mut clock = interval(DRIP);
            for byte in self.drip.bytes() {
                clock.tick().await;
                // A client learns only by reading that it was cut.
                let _ = write.write_all(&[byte]).await;
            }
            std::future::pending::<()>().await;
        };
        let read = timeout_at(until, read.read(&mut answer));
        let read = tokio::select! { read = read => read, () = drip => return Fate::Open };
        match read {
            Err(_) => Fate::Open,
            Ok(Err(_)) => Fate::Reset,
            Ok(Ok(0)) => Fate::Closed,
            Ok(Ok(read)) => status(&answer[..read]).map_or(Fate::Closed, Fate::Answered),
        }
    }
}

/// The status of a response, from its first bytes.
pub(super) fn status(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
