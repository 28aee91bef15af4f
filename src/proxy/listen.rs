//! Accepts connections and serves them.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use http::{Request, Response, StatusCode, Version};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus::{Gauge, IntCounter};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{Notify, Semaphore},
    task::{JoinError, JoinSet},
};
use tokio_metrics::TaskMonitor;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Failure, Inbound, Proxy,
    cors::Page,
    cut::{Cut, Unwritten},
    departure::Watched,
    families,
    gather::Gathered,
    headers::{Fragment, HEAD_TOO_LARGE, MAX_FIELDS},
    resets::Resets,
    respond::{self, Outgoing},
    worker::Workers,
};
use crate::{
    connection::{
        Attended, Heads, Late, Linger, Lingered, Notice, Places, Presence, RequestLimits, Timer, WaitingPlace,
    },
    meter::{Delivered, Facts, Measurement},
    metric::Occupied,
    tls::Acceptor,
};

/// The response to a client that connects when all connections are taken.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 67\r\n\
    Retry-After: 1\r\nConnection: close\r\n\r\n{\"error\":\"the sidecar has too many connections: try again in 1 s\"}\n";
/// The pause after a failed accept, mostly for want of descriptors, which become free when connections end.
const PAUSE: Duration = Duration::from_millis(50);
/// The time for a connected client to send its first request after a drain begins.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// The time for a client to take the end of a TLS stream.
const FAREWELL: Duration = Duration::from_secs(1);
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

/// Counters of connections.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) open: Arc<Gauge>,
    pub(crate) refused: Arc<IntCounter>,
    pub(crate) idle: Arc<IntCounter>,
    pub(crate) lingering: Arc<IntCounter>,
    pub(crate) vanished: Arc<IntCounter>,
    /// `None`: the listener has no TLS.
    pub(crate) unsecured: Option<Arc<IntCounter>>,
    pub(crate) panics: Arc<IntCounter>,
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
        let Some(runtime) = &worker.runtime else {
            let served = worker.measured(async move {
                let _held = (open, counted);
                connection(stream, proxy, counts, &place, draining).await;
            });
            self.connections.spawn(served);
            return;
        };
        // A socket belongs to the runtime in which it is registered.
        let moved = stream.into_std();
        let served = worker.measured(async move {
            let _held = (open, counted);
            match moved.and_then(TcpStream::from_std) {
                Ok(stream) => connection(stream, proxy, counts, &place, draining).await,
                Err(error) => tracing::warn!(%error, "failed to register a connection with its runtime"),
            }
        });
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

impl Counts {
    fn ended(&self, ended: Result<(), JoinError>) {
        // A panic in a body ends only the stream of its own connection.
        if ended.is_err_and(|error| error.is_panic()) {
            self.panics.inc();
            tracing::error!("a connection panicked, which is a bug");
        }
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

async fn connection(
    stream: TcpStream,
    proxy: Arc<Proxy>,
    Counts { unsecured, idle, lingering, vanished, panics, .. }: Counts,
    place: &Arc<WaitingPlace>,
    draining: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection closed before it was served");
        return;
    }
    let accepted = tokio::select! {
        biased;
        accepted = proxy.acceptor.accept(stream, proxy.config.header_timeout) => accepted,
        () = late(&draining) => return,
        told = place.told() => return if told == Notice::GiveWay { idle.inc() } else { vanished.inc() },
    };
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            unsecured.iter().for_each(|count| count.inc());
            tracing::debug!(%error, "TLS handshake failed");
            return;
        }
    };
    let stream = Resets::new(stream);
    let ends_with_connection = stream.armed();
    let (asked, unwritten) = (Arc::new(Notify::new()), Unwritten::default());
    let service = {
        let (proxy, ends_with_connection) = (proxy.clone(), ends_with_connection.clone());
        let (asked, place, unwritten) = (asked.clone(), place.clone(), unwritten.clone());
        service_fn(move |request: Request<Incoming>| {
            asked.notify_one();
            let (receiving, answering) = (place.ask(), place.ask());
            let has_fragment = place.begin(request.body());
            let mut request = request.map(|body| Attended::request(body, receiving));
            if has_fragment {
                request.extensions_mut().insert(Fragment);
            }
            // In HTTP/1.0, the end of the connection may be the end of a response's body.
            ends_with_connection.store(request.version() == Version::HTTP_10, Relaxed);
            let (proxy, panics, unwritten) = (proxy.clone(), panics.clone(), unwritten.clone());
            let place = place.clone();
            // Observe the connection from now on, since the client was there when its request arrived.
            let facts = proxy.facts(&request);
            let measurement = proxy.stages.meter.start(facts);
            // Boxed, so that an idle connection does not hold the state of a request.
            Box::pin(async move {
                let mut response = guarded(&proxy, &panics, request, facts, measurement).await;
                if place.is_unread() {
                    respond::closes(response.headers_mut());
                }
                Ok::<_, Infallible>(
                    response.map(|body| Attended::answer(Cut::new(body, unwritten), answering)),
                )
            })
        })
    };
    let gathered = Gathered::new(Watched::new(stream, place.clone()), unwritten);
    let heads = Heads::new(gathered, place.clone());
    let config = &proxy.config;
    let limits = RequestLimits { idle: config.keep_alive_timeout, head: config.header_timeout };
    let mut timer = Timer::new(limits);
    // hyper's own timer starts with the wait for a head and not with its first byte.
    let mut connection = http1::Builder::new()
        .max_buf_size(config.max_head)
        .max_headers(MAX_FIELDS)
        .preserve_header_case(true)
        // The upstream's `Date` is forwarded.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(heads), service);
    // hyper would close a connection of which it has read nothing. But its client was accepted and may send a
    // request.
    let drained = async {
        draining.cancelled().await;
        tokio::select! { () = asked.notified() => {}, () = late(&draining) => {} }
    };
    let mut drained = pin!(drained);
    let mut told = false;
    // When it ends, no response is on its way to the client.
    let mut is_idle = false;
    let ended = loop {
        tokio::select! {
            // `poll_without_shutdown` may complete before everything is written: a client that has not sent its
            // whole request would lose the rest of an early response. `Gathered` leaves closing the connection to
            // the code below.
            turn = poll_fn(|cx| match std::pin::Pin::new(&mut connection).poll(cx) {
                Poll::Ready(ended) => Poll::Ready(ConnectionTurn::Ended(ended)),
                Poll::Pending => match place.poll_told(cx) {
                    Poll::Ready(told) => Poll::Ready(ConnectionTurn::Told(told)),
                    Poll::Pending => timer.poll_late(place, cx).map(ConnectionTurn::Late),
                },
            }) => match turn {
                ConnectionTurn::Ended(ended) => break ended,
                ConnectionTurn::Late(late) => {
                    if late == Late::Head {
                        proxy.families.malformed(families::HEAD_TIMEOUT);
                    }
                    is_idle = true;
                    break Ok(());
                }
                ConnectionTurn::Told(Notice::Vanished) => {
                    vanished.inc();
                    // The system may still hold bytes for the client, which nobody needs. A reset drops them.
                    ends_with_connection.store(true, Relaxed);
                    return;
                }
                ConnectionTurn::Told(Notice::GiveWay) => {
                    idle.inc();
                    is_idle = true;
                    // A part of a head is not a request. But an earlier response may still be on its way.
                    if !place.has_asked() {
                        break Ok(());
                    }
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            },
            () = &mut drained, if !told => {
                told = true;
                is_idle = !place.asks();
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if place.has_vanished() {
        vanished.inc();
    }
    // A response is running. In HTTP/1.0, the end of the connection would look like its end.
    let broke_off = place.asks();
    // The parts of a request that the connection still holds are dropped first.
    let parts = connection.into_parts();
    let (gathered, verdict) = parts.io.into_inner().into_parts();
    let mut stream = gathered.into_inner().into_inner();
    match ended {
        Err(error) if (broke_off || error.is_user()) && stream.is_armed() => return,
        Err(error) if !error.is_user() => {
            malformed(&proxy, &error);
            if let Some(status) = verdict.and_then(|status| StatusCode::from_u16(status).ok()) {
                let refusal = respond::head_refusal(status, &error, proxy.config.max_head);
                // The result does not matter, since the client may not read it.
                let _ = tokio::time::timeout(FAREWELL, stream.write_all(&refusal)).await;
            }
        }
        _ => {}
    }
    stream.disarm();
    // A vanished client needs no end of the stream, and a client that does not read gets none.
    let closed = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
    if is_idle || !matches!(closed, Ok(Ok(()))) {
        return;
    }
    // The client may still be sending. Closing now would reset the connection and lose the response.
    if Linger::default().linger(stream.socket(), place, &draining).await == Lingered::GaveWay {
        lingering.inc();
    }
}

/// The next event of a connection.
enum ConnectionTurn {
    Ended(hyper::Result<()>),
    Told(Notice),
    Late(Late),
}

/// Completes when it is too late for a first request.
async fn late(draining: &CancellationToken) {
    draining.cancelled().await;
    tokio::time::sleep(FIRST_REQUEST).await;
}

fn malformed(proxy: &Proxy, error: &hyper::Error) {
    if error.is_parse_too_large() {
        proxy.families.malformed(HEAD_TOO_LARGE);
    } else if error.is_parse() {
        proxy.families.malformed(families::HEAD);
    }
}

/// Runs a request so that a panic, which is a bug, ends only this request.
async fn guarded(
    proxy: &Proxy,
    panics: &IntCounter,
    request: Request<Inbound>,
    facts: Facts,
    measurement: Measurement,
) -> Response<Delivered<Outgoing>> {
    let page = Page::of(request.headers(), &proxy.stages.admission);
    let answer = async {
        #[cfg(test)]
        assert_ne!(request.uri().path(), "/panic", "a test of the sidecar wants it");
        proxy.answer(request, facts, &page, measurement).await
    };
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            panics.inc();
            // The message of the panic may quote content, so it is not logged. The panic hook logs the location.
            tracing::error!(route = facts.route.label(), "a request panicked, which is a bug");
            let mut measurement = proxy.stages.meter.start(facts);
            // The measurement that the panic dropped has recorded the request.
            measurement.forget();
            proxy.fail(&Failure::Panicked, facts, &page, measurement)
        }
    }
}
