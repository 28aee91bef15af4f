//! Accepts connections and serves them.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_metrics::TaskMonitor;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Proxy,
    connection::{Counts, FAREWELL, Life},
    worker::Workers,
};
use crate::{
    connection::{Linger, Places, Presence},
    metric::Occupied,
    tls::Acceptor,
};

/// The response to a client that connects when all connections are taken.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 67\r\n\
    Retry-After: 1\r\nConnection: close\r\n\r\n{\"error\":\"the sidecar has too many connections: try again in 1 s\"}\n";
/// The pause after a failed accept. An accept usually fails because all descriptors are in use, and a connection that
/// ends frees one.
const PAUSE: Duration = Duration::from_millis(50);
/// The most refused clients that get time to read the response. Further ones are closed at once.
const TURNED_AWAY: usize = 64;

/// The listening socket and its connections.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    workers: Workers,
    max_connections: usize,
    acceptor: Acceptor,
    places: Places,
    presence: Presence,
    connections: JoinSet<()>,
    draining: CancellationToken,
    turned_away: Arc<Semaphore>,
    counts: Counts,
}

/// Connections that take no further request. Dropping it cuts the remaining ones.
#[derive(Debug)]
pub(crate) struct Draining {
    connections: JoinSet<()>,
    counts: Counts,
    _watch: AbortOnDropHandle<()>,
}

impl Listener {
    /// Connections are served on `runtimes`, or on the runtime that accepts if there are none. `monitor` creates
    /// the task monitor of one of them.
    pub(crate) fn new(
        socket: TcpListener,
        proxy: &Proxy,
        runtimes: Vec<Handle>,
        counts: Counts,
        monitor: impl Fn() -> Option<TaskMonitor>,
    ) -> Listener {
        let workers = Workers::new(proxy, runtimes, monitor);
        let (max_connections, acceptor) = (proxy.config.max_connections, proxy.acceptor.clone());
        let (connections, draining) = (JoinSet::new(), CancellationToken::new());
        let (places, turned_away) = (Places::default(), Arc::new(Semaphore::new(TURNED_AWAY)));
        Listener {
            socket,
            workers,
            max_connections,
            acceptor,
            places,
            presence: Presence::default(),
            connections,
            draining,
            turned_away,
            counts,
        }
    }

    /// Accepts and serves connections until `stop` completes.
    pub(crate) async fn serve(mut self, stop: impl Future<Output = ()>) -> Draining {
        let mut stop = pin!(stop);
        let mut failing = false;
        let watch = self.presence.clone().watch(self.socket.local_addr());
        let watch = AbortOnDropHandle::new(tokio::spawn(watch));
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.connections.join_next() => self.counts.ended(ended),
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        failing = false;
                        self.take(stream, peer);
                    }
                    Err(error) => {
                        // A failure is logged once until an accept succeeds again.
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "failed to accept a connection");
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        self.draining.cancel();
        self.places.drain();
        Draining { connections: self.connections, counts: self.counts, _watch: watch }
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr) {
        let open = self.connections.len();
        if open >= self.max_connections && !self.places.make_room(open + 1 - self.max_connections) {
            self.counts.refused.inc();
            // With TLS, a response would need a handshake, and there are too many of those already.
            if !self.acceptor.is_secured() {
                turn_away(stream, &self.turned_away);
            }
            return;
        }
        let place = self.places.add(open);
        self.presence.add(&place, &stream, peer, open);
        let (worker, counted) = self.workers.next();
        let open = Occupied::enter(self.counts.open.clone());
        let (proxy, counts) = (worker.proxy.clone(), self.counts.clone());
        let draining = self.draining.clone();
        let life = Life { proxy, counts, place, draining, _held: (open, counted) };
        let Some(runtime) = &worker.runtime else {
            self.connections.spawn(worker.measured(life.run(move || Ok(stream))));
            return;
        };
        // A socket belongs to the runtime in which it is registered.
        let moved = stream.into_std();
        let served = worker.measured(life.run(move || moved.and_then(TcpStream::from_std)));
        self.connections.spawn_on(served, runtime);
    }
}

impl Draining {
    /// Waits until every connection has finished its request.
    pub(crate) async fn end(&mut self) {
        while let Some(ended) = self.connections.join_next().await {
            self.counts.ended(ended);
        }
    }

    /// Cuts the remaining connections, and returns when the outcome of each is recorded.
    pub(crate) async fn cut(&mut self) {
        self.connections.shutdown().await;
    }

    /// The number of remaining connections.
    pub(crate) fn left(&self) -> usize {
        self.connections.len()
    }
}

/// Sends the refusal from a task of its own, so that nothing waits for a client that does not read.
fn turn_away(mut stream: TcpStream, told: &Arc<Semaphore>) {
    let lingers = told.clone().try_acquire_owned().ok();
    tokio::spawn(tokio::time::timeout(FAREWELL, async move {
        // The connection closes whether the client reads the response or not.
        let _ = stream.write_all(FULL).await;
        let _ = stream.shutdown().await;
        if lingers.is_some() {
            // The client's request is still on its way. Closing now would reset the connection and lose the
            // response.
            Linger::default().read_off(&stream).await;
        }
    }));
}
