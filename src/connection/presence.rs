//! Detects clients that have vanished: the connection is open, but their system does not answer any more.
//!
//! There are three cases. A client that reads slowly or not at all is none of them, since its system answers.
//!
//! - Nothing is on its way to the client: TCP keep-alive probes detect it.
//! - Data is on its way, which disables these probes. The kernel retransmits for a quarter of an hour.
//! - The client's window is closed. The kernel probes it for as long as the client's system answers.
//!
//! `TCP_USER_TIMEOUT` would end the second case, but also the third one while the client is alive. So this module
//! compares the kernel's counts of segments from time to time: if segments go out and none comes in, the client has
//! vanished.

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

/// An idle connection is probed after `IDLE`, then every `BETWEEN`, and given up after `PROBES` probes: 50 s after
/// the last segment.
const IDLE: Duration = Duration::from_secs(20);
const BETWEEN: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// The interval of the checks. It and the durations below add up to less than a minute.
const LOOK: Duration = Duration::from_secs(5);
/// A client has vanished if nothing came from it for this long although a segment was retransmitted to it.
const SILENCE: Duration = Duration::from_secs(30);
/// The time for the client to answer a retransmission. Longer than any round trip.
const ANSWER: Duration = Duration::from_secs(10);
/// The connections that are checked before other tasks get their turn.
const AT_ONCE: usize = 64;

/// The findings of earlier checks of a client.
#[derive(Clone, Copy, Debug)]
struct Sign {
    segments: Segments,
    /// When `received` was first seen.
    since: Instant,
    /// When a later segment to the client was first seen.
    asked: Option<Instant>,
}

#[derive(Debug)]
struct ClientSocket {
    place: Weak<WaitingPlace>,
    local: SocketAddr,
    peer: SocketAddr,
    sign: Option<Sign>,
}

/// The connections of a listener that are checked. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Arc<Mutex<Vec<ClientSocket>>>);

impl Sign {
    /// Compares with the present counts. Returns true if the client has vanished.
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
    /// Adds a connection. `open` is the number of those that are open already.
    pub(crate) fn add(&self, place: &Arc<WaitingPlace>, socket: &TcpStream, peer: SocketAddr, open: usize) {
        // Set on each connection, since one that was made before an option of the listening socket was set would
        // not inherit it.
        let probes = TcpKeepalive::new().with_time(IDLE).with_interval(BETWEEN).with_retries(PROBES);
        if let Err(error) = SockRef::from(socket).set_tcp_keepalive(&probes) {
            tracing::debug!(%error, "failed to turn on TCP keep-alive for a connection");
        }
        let Ok(local) = socket.local_addr() else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Removes closed connections only sometimes, so that each new connection pays little for it.
        if all.len() > 2 * open + AT_ONCE {
            all.retain(|client| client.place.strong_count() > 0);
        }
        all.push(ClientSocket { place: Arc::downgrade(place), local, peer, sign: None });
    }

    /// Tells the places of clients that have vanished, and never ends. `listener` is the address that the clients
    /// connected to.
    #[cfg(target_os = "linux")]
    pub(crate) async fn watch(self, listener: io::Result<SocketAddr>) {
        let mut diagnosis = match listener.and_then(diagnosis::Diagnosis::new) {
            Ok(diagnosis) => diagnosis,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "failed to query TCP connections over netlink; a client that vanishes in the middle of a response will be detected late"
                );
                return;
            }
        };
        loop {
            tokio::time::sleep(LOOK).await;
            // Connections that begin meanwhile need no check yet.
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

    /// Other systems only have the keep-alive probes.
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn watch(self, _: io::Result<SocketAddr>) {
        let _ = (LOOK, SILENCE, ANSWER);
    }
}

#[cfg(target_os = "linux")]
impl ClientSocket {
    fn look(&mut self, diagnosis: &mut diagnosis::Diagnosis) {
        let Some(place) = self.place.upgrade() else { return };
        // A connection that is about to end is not found. That is not an error, and the next check decides.
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

    /// Checks every `LOOK` with these counts. Returns after how long the client has vanished.
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
        // The kernel retransmits after 1, 3, 7, 15 and 31 s.
        let retries = |second: u32| (second + 1).ilog2();
        let counted = |second| Segments { received: 7, sent: 9 + retries(second), is_retried: second > 0 };
        let after = vanishes(100, counted).unwrap();
        assert!((SILENCE..=Duration::from_secs(45)).contains(&after), "{after:?}");
    }

    #[test]
    fn client_with_closed_window_that_acknowledges_is_not_vanished() {
        let probes = |second: u32| (second + 1).ilog2();
        // At each check, one answer is still on its way.
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
