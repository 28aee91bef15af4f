//! The socket towards Prometheus and people.

use std::{
    convert::Infallible,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Gauge, IntCounter};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use super::{Admin, token::Shown, unauthorized};
use crate::{
    collector::{Task, Tasks},
    metric::Occupied,
    tls::{Acceptor, Stream},
};

/// Connections at once: a few Prometheus servers and a few people. More are turned away.
const MAX_CONNECTIONS: usize = 64;
/// A head that takes longer, a handshake of TLS, or a connection that is idle for longer, is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head, bytes.
const MAX_HEAD: usize = 16 << 10;
/// Who shows a wrong token waits this long for the answer: with all places, 64 guesses a second.
const WRONG: Duration = Duration::from_secs(1);
/// Out of descriptors, mostly: some come back when connections end.
const PAUSE: Duration = Duration::from_millis(50);

/// Descriptors kept for the day when streams have taken all: as many connections are taken then.
const SPARE: usize = 4;

/// The socket, and what its connections are counted in.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    spare: Spare,
    pub(crate) admin: Admin,
    acceptor: Acceptor,
    counts: Counts,
    tasks: Tasks,
}

/// What is counted of connections.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) open: Arc<Gauge>,
    pub(crate) refused: Arc<IntCounter>,
    pub(crate) unsecured: Arc<IntCounter>,
}

impl Listener {
    /// Keeps its descriptors from now on: once clients are served, they may take all.
    pub(crate) fn new(
        socket: TcpListener,
        acceptor: Acceptor,
        admin: Admin,
        counts: Counts,
        tasks: Tasks,
    ) -> Listener {
        let mut spare = Spare::default();
        spare.fill(&socket);
        Listener { socket, spare, admin, acceptor, counts, tasks }
    }

    /// Serves for ever. Dropped, it cuts what runs.
    pub(crate) async fn serve(mut self) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let Admin { history, registry, meter, .. } = self.admin.clone();
        // One of the set: it ends with the connections, when this future is dropped.
        connections.spawn(self.tasks.instrument(Task::Collector, history.keep(registry, meter)));
        let mut failing = false;
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => self.spare.fill(&self.socket),
                accepted = self.socket.accept() => match (accepted, places.clone().try_acquire_owned()) {
                    (Ok((stream, _)), Ok(place)) => {
                        failing = false;
                        let (admin, open) = (self.admin.clone(), Occupied::enter(self.counts.open.clone()));
                        let (acceptor, unsecured) = (self.acceptor.clone(), self.counts.unsecured.clone());
                        connections.spawn(self.tasks.instrument(Task::Admin, async move {
                            match acceptor.accept(stream, HEADER_TIMEOUT).await {
                                Ok(stream) => connection(stream, admin).await,
                                Err(error) => {
                                    unsecured.inc();
                                    tracing::debug!(%error, "somebody made no TLS with the admin address");
                                }
                            }
                            drop((place, open));
                        }));
                    }
                    (Ok(_), Err(_)) => self.counts.refused.inc(),
                    (Err(error), _) => {
                        if self.spare.give_up(&error) {
                            continue;
                        }
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "cannot accept a connection to the admin address");
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Descriptors that are worth nothing until there are no others.
#[derive(Debug, Default)]
struct Spare(Vec<OwnedFd>);

impl Spare {
    /// Takes as many as are wanted, or as there are.
    fn fill(&mut self, socket: &TcpListener) {
        while self.0.len() < SPARE
            && let Ok(one) = socket.as_fd().try_clone_to_owned()
        {
            self.0.push(one);
        }
    }

    /// Gives one up for a connection, if it is descriptors that there are none of and one is left.
    fn give_up(&mut self, error: &io::Error) -> bool {
        let none_left = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
        let is_that = none_left.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        is_that && self.0.pop().is_some()
    }
}

async fn connection(stream: Stream, admin: Admin) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (head, _) = request.into_parts();
        let shown = admin.turns_away(&head);
        let answer = match shown {
            Some(_) => unauthorized(),
            None => admin.answer(&head),
        };
        async move {
            if shown == Some(Shown::Wrong) {
                tracing::warn!("somebody showed a wrong token to the admin address");
                tokio::time::sleep(WRONG).await;
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the admin address ended badly");
    }
}
