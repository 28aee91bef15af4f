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

/// What a client is told that comes when all connections are taken.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 67\r\n\
    Retry-After: 1\r\nConnection: close\r\n\r\n{\"error\":\"the sidecar has too many connections: try again in 1 s\"}\n";
/// Out of descriptors, mostly: some come back when connections end.
const PAUSE: Duration = Duration::from_millis(50);
/// A client that has connected has this long to ask once a drain begins.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// A client whose connection ends has this long to take the end that TLS has of its own.
const FAREWELL: Duration = Duration::from_secs(1);
/// So many clients that were turned away are given time to read why; of more, each is closed at once.
const TURNED_AWAY: usize = 64;

/// The socket towards clients, and their connections.
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

/// Connections that take no further request. Dropped, those that are left are cut.
#[derive(Debug)]
pub(crate) struct Draining {
    connections: JoinSet<()>,
    counts: Counts,
    _watch: AbortOnDropHandle<()>,
}

/// What is counted of connections.
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
    /// Connections are served on `runtimes`; where there are none, on the one that accepts. `monitor` makes what
    /// measures the tasks of one of them.
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

    /// Serves until `stop` completes; then nobody connects any more.
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
                        // A thousand lines would say no more than one.
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "cannot accept a connection");
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
            // By TLS it could only be told after a handshake, which is the work that there is too much of.
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
        // A socket belongs to the runtime that it is registered with.
        let moved = stream.into_std();
        let served = worker.measured(async move {
            let _held = (open, counted);
            match moved.and_then(TcpStream::from_std) {
                Ok(stream) => connection(stream, proxy, counts, &place, draining).await,
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
        });
        self.connections.spawn_on(served, runtime);
    }
}

impl Draining {
    /// Waits until every connection has ended its request.
    pub(crate) async fn end(&mut self) {
        while let Some(ended) = self.connections.join_next().await {
            self.counts.ended(ended);
        }
    }

    /// Cuts those that have not, and returns when each one's ending is recorded.
    pub(crate) async fn cut(&mut self) {
        self.connections.shutdown().await;
    }

    /// How many have not.
    pub(crate) fn left(&self) -> usize {
        self.connections.len()
    }
}

impl Counts {
    fn ended(&self, ended: Result<(), JoinError>) {
        // A panic in a body: its stream ended with its connection, and nobody else's.
        if ended.is_err_and(|error| error.is_panic()) {
            self.panics.inc();
            tracing::error!("a connection ended by a panic: this is a bug");
        }
    }
}

/// Says why, on a task that ends by itself, so that nobody waits for a client that does not read.
fn turn_away(mut stream: TcpStream, told: &Arc<Semaphore>) {
    let lingers = told.clone().try_acquire_owned().ok();
    tokio::spawn(tokio::time::timeout(FAREWELL, async move {
        // It is turned away whether it hears it or not.
        let _ = stream.write_all(FULL).await;
        let _ = stream.shutdown().await;
        if lingers.is_some() {
            // Its request is on the way: to close now would take the answer away from it.
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
        tracing::debug!(%error, "a connection was gone before it was served");
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
            // The body of an answer in HTTP/1.0 may end with its connection.
            ends_with_connection.store(request.version() == Version::HTTP_10, Relaxed);
            let (proxy, panics, unwritten) = (proxy.clone(), panics.clone(), unwritten.clone());
            let place = place.clone();
            // Now: a client that has left by the time that its request is looked at was here.
            let facts = proxy.facts(&request);
            let measurement = proxy.stages.meter.start(facts);
            // Boxed: a connection that waits for its next request holds none of this.
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
    // hyper's own timer begins with the wait for a head, not with its first byte.
    let mut connection = http1::Builder::new()
        .max_buf_size(config.max_head)
        .max_headers(MAX_FIELDS)
        .preserve_header_case(true)
        // The upstream's date is the date.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(heads), service);
    // hyper closes one of which it has read nothing. Its client was accepted, though, and asks nobody else.
    let drained = async {
        draining.cancelled().await;
        tokio::select! { () = asked.notified() => {}, () = late(&draining) => {} }
    };
    let mut drained = pin!(drained);
    let mut told = false;
    // No answer is on its way to the client when it ends.
    let mut is_idle = false;
    let ended = loop {
        tokio::select! {
            // `poll_without_shutdown` may be over before all is written: a client that has not sent its whole request would
            // lose the rest of an answer that came early. `Gathered` leaves the end of the connection to what follows.
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
                    // What its system still holds for it is of no use to anybody: a reset drops it.
                    ends_with_connection.store(true, Relaxed);
                    return;
                }
                ConnectionTurn::Told(Notice::GiveWay) => {
                    idle.inc();
                    is_idle = true;
                    // Part of a head is nobody's request. What was answered may still be on its way, though.
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
    // An answer that runs. In HTTP/1.0 the end of its connection would be its own.
    let broke_off = place.asks();
    // Whatever the connection still holds of a request goes first.
    let parts = connection.into_parts();
    let (gathered, verdict) = parts.io.into_inner().into_parts();
    let mut stream = gathered.into_inner().into_inner();
    match ended {
        Err(error) if (broke_off || error.is_user()) && stream.is_armed() => return,
        Err(error) if !error.is_user() => {
            malformed(&proxy, &error);
            if let Some(status) = verdict.and_then(|status| StatusCode::from_u16(status).ok()) {
                let refusal = respond::head_refusal(status, &error, proxy.config.max_head);
                // A client that does not read it has no use for it.
                let _ = tokio::time::timeout(FAREWELL, stream.write_all(&refusal)).await;
            }
        }
        _ => {}
    }
    stream.disarm();
    // A client that is gone needs no end, and one that does not read gets none.
    let closed = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
    if is_idle || !matches!(closed, Ok(Ok(()))) {
        return;
    }
    // It may still be sending: to close now would take the answer away from it.
    if Linger::default().linger(stream.socket(), place, &draining).await == Lingered::GaveWay {
        lingering.inc();
    }
}

/// What happens to a connection.
enum ConnectionTurn {
    Ended(hyper::Result<()>),
    Told(Notice),
    Late(Late),
}

/// Too late for a first request.
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

/// A panic is a bug, and ends its own request alone.
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
            // Not its message, which may quote what was being read; the hook for panics has the place.
            tracing::error!(route = facts.route.label(), "a request ended by a panic: this is a bug");
            let mut measurement = proxy.stages.meter.start(facts);
            // The one that was lost in the panic has recorded it.
            measurement.forget();
            proxy.fail(&Failure::Panicked, facts, &page, measurement)
        }
    }
}
