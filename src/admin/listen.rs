//! The listener for Prometheus and people.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use prometheus::{Gauge, IntCounter};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Admin, answer};
use crate::{
    collector::{Task, Tasks},
    connection::{Heads, Linger, Notice, Places, Presence, RequestLimits, Timer, WaitingPlace},
    metric::Occupied,
    tls::{self, Acceptor, Stream},
};

/// The most connections at once: a few Prometheus servers and a few people. When more come, idle connections are
/// closed at once.
const MAX_CONNECTIONS: usize = 64;
/// The time limits of a TLS handshake, of a request head, and of an idle connection. Clients close idle connections
/// earlier.
const LIMITS: RequestLimits = RequestLimits { idle: Duration::from_secs(180), head: Duration::from_secs(30) };
/// The longest request head in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The time that a client has to take the last bytes before its connection closes.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause after a failed accept. An accept usually fails because all descriptors are in use, and a connection that
/// ends frees one.
const PAUSE: Duration = Duration::from_millis(50);

/// Descriptors kept in reserve: when streams have used up all others, this many admin connections can still be
/// accepted.
const SPARE: usize = 4;

/// The listening socket and the state of its connections.
#[derive(Debug)]
pub(crate) struct AdminListener {
    socket: TcpListener,
    spare: Spare,
    pub(crate) admin: Admin,
    acceptor: Acceptor,
    counts: AdminCounts,
    tasks: Tasks,
    places: Places,
    presence: Presence,
    connections: JoinSet<()>,
}

/// Counters of connections.
#[derive(Clone, Debug)]
pub(crate) struct AdminCounts {
    pub(crate) open: Arc<Gauge>,
    pub(crate) refused: Arc<IntCounter>,
    pub(crate) idle: Arc<IntCounter>,
    pub(crate) vanished: Arc<IntCounter>,
    /// `None`: the listener has no TLS.
    pub(crate) unsecured: Option<Arc<IntCounter>>,
}

impl AdminListener {
    /// Opens the spare descriptors now, since the streams of clients may use up all of them later.
    pub(crate) fn new(
        socket: TcpListener,
        acceptor: Acceptor,
        admin: Admin,
        counts: AdminCounts,
        tasks: Tasks,
    ) -> AdminListener {
        let mut spare = Spare::default();
        spare.fill(&socket);
        let (places, presence, connections) = (Places::impatient(), Presence::default(), JoinSet::new());
        AdminListener { socket, spare, admin, acceptor, counts, tasks, places, presence, connections }
    }

    /// Accepts and serves connections, and never ends. Dropping the future cuts them.
    pub(crate) async fn serve(mut self) {
        // The task ends with the connections, when this future is dropped.
        let mut beside = JoinSet::new();
        let Admin { history, registry, meter, .. } = self.admin.clone();
        beside.spawn(self.tasks.instrument(Task::Collector, history.keep(registry, meter)));
        beside.spawn(self.presence.clone().watch(self.socket.local_addr()));
        let mut failing = false;
        loop {
            tokio::select! {
                Some(_) = self.connections.join_next() => self.spare.fill(&self.socket),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        failing = false;
                        self.take(stream, peer);
                        // If all are taken, each connection runs once before it may have to give way to the next.
                        if self.connections.len() > MAX_CONNECTIONS {
                            tokio::task::yield_now().await;
                        }
                    }
                    Err(error) => {
                        if self.spare.give_up(&error) {
                            continue;
                        }
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "failed to accept a connection to the admin address");
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let open = self.connections.len();
        if open >= MAX_CONNECTIONS
            && !self.places.make_room(open + 1 - MAX_CONNECTIONS)
            && !self.places.cut_stuck()
        {
            return self.counts.refused.inc();
        }
        let place = self.places.add(open);
        self.presence.add(&place, &stream, peer, open);
        let (admin, counts, acceptor) = (self.admin.clone(), self.counts.clone(), self.acceptor.clone());
        let counted = Occupied::enter(self.counts.open.clone());
        self.connections.spawn(self.tasks.instrument(Task::Admin, async move {
            let _counted = counted;
            let stream = tokio::select! {
                biased;
                accepted = acceptor.accept(stream, LIMITS.head) => match accepted {
                    Ok(stream) => stream,
                    Err(error) => {
                        counts.unsecured.iter().for_each(|count| count.inc());
                        return tracing::debug!(%error, "TLS handshake failed at the admin address");
                    }
                },
                told = place.told() => return counts.told(told),
            };
            connection(stream, admin, peer.ip(), &place, &counts).await;
        }));
    }
}

impl AdminCounts {
    fn told(&self, told: Notice) {
        match told {
            Notice::GiveWay => self.idle.inc(),
            Notice::Vanished => self.vanished.inc(),
        }
    }
}

/// Descriptors that are closed when no others are left, so that a connection can be accepted.
#[derive(Debug, Default)]
struct Spare(Vec<OwnedFd>);

impl Spare {
    /// Opens descriptors until there are `SPARE`, or until the system has no more.
    fn fill(&mut self, socket: &TcpListener) {
        while self.0.len() < SPARE
            && let Ok(one) = socket.as_fd().try_clone_to_owned()
        {
            self.0.push(one);
        }
    }

    /// Closes one for a connection, if `error` says that there are no descriptors and one is left.
    fn give_up(&mut self, error: &io::Error) -> bool {
        let none_left = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
        let is_that = none_left.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        is_that && self.0.pop().is_some()
    }
}

async fn connection(
    stream: Stream,
    admin: Admin,
    peer: IpAddr,
    place: &Arc<WaitingPlace>,
    counts: &AdminCounts,
) {
    let draining = admin.draining.clone();
    let mut connection = http1::Builder::new().max_buf_size(MAX_HEAD).serve_connection(
        TokioIo::new(Heads::new(stream, place.clone())),
        answer::service(admin, peer, place),
    );
    let mut timer = Timer::new(LIMITS);
    let ended = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending => match place.poll_told(cx) {
            Poll::Ready(told) => {
                counts.told(told);
                Poll::Ready(None)
            }
            // Idle or slow makes no difference here: the connection closes without a response.
            Poll::Pending => timer.poll_late(place, cx).map(|_| None),
        },
    });
    let Some(ended) = ended.await else { return };
    if place.has_vanished() {
        return counts.told(Notice::Vanished);
    }
    let (mut stream, verdict) = connection.into_parts().io.into_inner().into_parts();
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the admin address failed");
        if let Some(status) = verdict {
            // The result does not matter, since the client may have gone.
            let refusal = answer::head_refusal(status, &error);
            let _ = tokio::time::timeout(FAREWELL, stream.write_all(&refusal)).await;
        }
    }
    if let Ok(Ok(())) = tokio::time::timeout(FAREWELL, stream.shutdown()).await {
        // The client may still be sending. Closing now would reset the connection and lose the response.
        let _ = Linger::default().linger(tls::socket(&stream), place, &draining).await;
    }
}
