//! Clients that have vanished: the connection is there, and their system answers no more.
//!
//! Three cases, and none of them is a client that reads slowly or not at all: its system answers.
//!
//! - Nothing is on its way to the client: keep-alive probes of TCP find out.
//! - Data is on its way, which turns these probes off. The kernel sends it again for a quarter of an hour.
//! - The client's window is closed. The kernel asks for it again and again, for as long as it is answered.
//!
//! `TCP_USER_TIMEOUT` would end the second case, but also the third while the client is alive. So the kernel's counts of
//! segments are looked at now and then: segments that go out while none comes in are answered by nobody.

mod diagnosis;
#[cfg(target_os = "linux")]
mod segments;

use segments::Segments;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::Instant};

use super::WaitingPlace;

/// A connection without traffic is probed after this, and then so often until it is given up: 50 s after the last sign.
const IDLE: Duration = Duration::from_secs(20);
const BETWEEN: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Between two looks at a connection. They and the spans below add up to less than a minute.
const LOOK: Duration = Duration::from_secs(5);
/// A client from which nothing came for so long has vanished, if it was asked.
const SILENCE: Duration = Duration::from_secs(30);
/// So long it has to answer what was sent again. Longer than any way there and back.
const ANSWER: Duration = Duration::from_secs(10);
/// Connections that are looked at until other tasks have their turn.
const AT_ONCE: usize = 64;

/// What was seen of a client.
#[derive(Clone, Copy, Debug)]
struct Sign {
    segments: Segments,
    /// When `received` was seen first.
    since: Instant,
    /// When a segment was seen to have been sent after that.
    asked: Option<Instant>,
}

#[derive(Debug)]
struct ClientSocket {
    place: Weak<WaitingPlace>,
    local: SocketAddr,
    peer: SocketAddr,
    sign: Option<Sign>,
}

/// The connections of a listener, whose clients are looked after. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Arc<Mutex<Vec<ClientSocket>>>);

impl Sign {
    /// Compares with what is counted now. True if the client has vanished.
    fn compare(&mut self, segments: Segments, now: Instant) -> bool {
        if segments.received != self.segments.received {
            *self = Sign { segments, since: now, asked: None };
            return false;
        }
        if self.asked.is_none() && segments.sent != self.segments.sent {
            self.asked = Some(now);
        }
        let is_unanswered = self.asked.is_some_and(|asked| now - asked >= ANSWER);
        segments.is_retried && is_unanswered && now - self.since >= SILENCE
    }
}

impl Presence {
    /// Looks after one more; `open` are there already.
    pub(crate) fn add(&self, place: &Arc<WaitingPlace>, socket: &TcpStream, peer: SocketAddr, open: usize) {
        // Not of the socket that listens: what connects before it is told would do without.
        let probes = TcpKeepalive::new().with_time(IDLE).with_interval(BETWEEN).with_retries(PROBES);
        if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&probes) {
            tracing::debug!(%error, "cannot turn TCP keep-alive on for a connection");
        }
        let Ok(local) = socket.local_addr() else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone, now and then, so that each connection pays for little of it.
        if all.len() > 2 * open + AT_ONCE {
            all.retain(|client| client.place.strong_count() > 0);
        }
        all.push(ClientSocket { place: Arc::downgrade(place), local, peer, sign: None });
    }

    /// Tells the places of clients that have vanished, for ever. `listener` is the address that they connected to.
    #[cfg(target_os = "linux")]
    pub(crate) async fn watch(self, listener: io::Result<SocketAddr>) {
        let mut diagnosis = match listener.and_then(diagnosis::Diagnosis::new) {
            Ok(diagnosis) => diagnosis,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "cannot look up TCP connections: a client that vanishes in the middle of an answer is noticed late"
                );
                return;
            }
        };
        loop {
            tokio::time::sleep(LOOK).await;
            // Connections that begin meanwhile need no look yet.
            let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            for some in all.chunks_mut(AT_ONCE) {
                for client in some {
                    client.look(&mut diagnosis);
                }
                tokio::task::yield_now().await;
            }
            all.retain(|client| client.place.strong_count() > 0);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&mut all);
        }
    }

    /// Elsewhere the probes of idle connections are all there is.
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn watch(self, _: io::Result<SocketAddr>) {
        let _ = (LOOK, SILENCE, ANSWER);
    }
}

#[cfg(target_os = "linux")]
impl ClientSocket {
    fn look(&mut self, diagnosis: &mut diagnosis::Diagnosis) {
        let Some(place) = self.place.upgrade() else { return };
        // One that is about to end is not found. The next look tells more than an error would.
        let Ok(segments) = diagnosis.of(self.local, self.peer) else { return };
        let now = Instant::now();
        let sign = self.sign.get_or_insert(Sign { segments, since: now, asked: None });
        if sign.compare(segments, now) {
            place.vanish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every `LOOK` at what is counted then; after how many of them a client has vanished.
    fn vanishes(looks: usize, counted: impl Fn(u32) -> Segments) -> Option<Duration> {
        let began = Instant::now();
        let mut sign = Sign { segments: counted(0), since: began, asked: None };
        (1..looks).find_map(|look| {
            let after = LOOK * u32::try_from(look).unwrap();
            let seconds = u32::try_from(after.as_secs()).unwrap();
            sign.compare(counted(seconds), began + after).then_some(after)
        })
    }

    #[test]
    fn client_that_acknowledges_nothing_is_vanished_within_a_minute() {
        // The retries of the kernel: after 1, 3, 7, 15 and 31 s.
        let retries = |second: u32| (second + 1).ilog2();
        let counted = |second| Segments { received: 7, sent: 9 + retries(second), is_retried: second > 0 };
        let after = vanishes(100, counted).unwrap();
        assert!((SILENCE..=Duration::from_secs(45)).contains(&after), "{after:?}");
    }

    #[test]
    fn client_with_closed_window_that_acknowledges_is_not_vanished() {
        let probes = |second: u32| (second + 1).ilog2();
        // An answer that is still on its way at each look.
        for late in [0, 1] {
            let counted = |second| Segments {
                received: 7 + probes(second).saturating_sub(late),
                sent: 9 + probes(second),
                is_retried: late > 0,
            };
            assert_eq!(vanishes(1000, counted), None);
        }
    }

    #[test]
    fn client_to_which_nothing_is_sent_is_not_vanished() {
        assert_eq!(vanishes(1000, |_| Segments { received: 7, sent: 9, is_retried: false }), None);
        assert_eq!(vanishes(1000, |_| Segments { received: 7, sent: 9, is_retried: true }), None);
    }
}
