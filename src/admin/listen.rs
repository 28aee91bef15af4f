//! The socket towards Prometheus and people.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Gauge, IntCounter};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::Admin;
use crate::{
    collector::{Task, Tasks},
    metric::Occupied,
};

/// Connections at once: a few Prometheus servers and a few people. More are turned away.
const MAX_CONNECTIONS: usize = 64;
/// A head that takes longer, or a connection that is idle for longer, is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head, bytes.
const MAX_HEAD: usize = 16 << 10;
/// Out of descriptors, mostly: some come back when connections end.
const PAUSE: Duration = Duration::from_millis(50);

/// The socket, and what its connections are counted in.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) admin: Admin,
    pub(crate) open: Arc<Gauge>,
    pub(crate) refused: Arc<IntCounter>,
    pub(crate) tasks: Tasks,
}

impl Listener {
    /// Serves for ever. Dropped, it cuts what runs.
    pub(crate) async fn serve(self) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let Admin { history, registry, meter, .. } = self.admin.clone();
        // One of the set: it ends with the connections, when this future is dropped.
        connections.spawn(self.tasks.instrument(Task::Collector, history.keep(registry, meter)));
        let mut failing = false;
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept() => match (accepted, places.clone().try_acquire_owned()) {
                    (Ok((stream, _)), Ok(place)) => {
                        failing = false;
                        let (admin, open) = (self.admin.clone(), Occupied::enter(self.open.clone()));
                        connections.spawn(self.tasks.instrument(Task::Admin, async move {
                            connection(stream, admin).await;
                            drop((place, open));
                        }));
                    }
                    (Ok(_), Err(_)) => self.refused.inc(),
                    (Err(error), _) => {
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

async fn connection(stream: TcpStream, admin: Admin) {
    let service = service_fn(move |request| {
        let answer = admin.answer(request.method(), request.uri());
        async move { Ok::<_, Infallible>(answer) }
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
