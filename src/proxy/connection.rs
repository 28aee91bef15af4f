//! The life of a client's connection: it is secured by TLS, its requests are served, and it is closed.

mod batch;
mod counts;
mod flush;
mod hangup;
mod read_ahead;
mod reset;

use std::{
    convert::Infallible,
    error::Error,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, StatusCode, Version};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, Service, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Proxy, families,
    headers::{Fragment, HEAD_TOO_LARGE, MAX_FIELDS},
    held_slot::Holding,
    kept_alive::{ConnectionParts, KeptAlive},
    respond::{self, Outgoing},
    unwritten::Unwritten,
};
use crate::{
    connection::{Attended, Heads, Late, Linger, Lingered, Notice, RequestLimits, Timer, WaitingPlace},
    meter::Delivered,
    metric::Occupied,
    tls::Stream,
};
use batch::Gathered;
use flush::Cut;
use hangup::Watched;
use read_ahead::ReadAhead;
use reset::Resets;

pub(crate) use counts::Counts;

/// A client that has connected has this long to send a request after a drain begins.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// The time limit for the last bytes to a client whose connection ends.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// The layers between hyper and the client's socket. A test compares them with docs/explanation/life-of-a-request.md.
type ClientIo = TokioIo<Heads<Gathered<ReadAhead<Watched<Resets>>>>>;
/// The layers between hyper and the response. The same test compares them.
type ClientBody = Attended<Cut<KeptAlive<Delivered<Outgoing>>>>;

/// A connection, with what it shares with the rest of the proxy.
pub(super) struct Life {
    pub(super) proxy: Arc<Proxy>,
    pub(super) counts: Counts,
    pub(super) place: Arc<WaitingPlace>,
    pub(super) draining: CancellationToken,
    /// It counts as open, and for its worker.
    pub(super) _held: (Occupied, Arc<()>),
}

/// A connection that takes no further request.
struct Ended {
    stream: Resets,
    /// hyper's result.
    result: hyper::Result<()>,
    /// The status for a head that could not be read.
    verdict: Option<u16>,
    /// A response was running.
    broke_off: bool,
    /// No response was on its way to the client.
    is_idle: bool,
}

/// An event on a connection.
enum ConnectionTurn {
    Ended(hyper::Result<()>),
    Told(Notice),
    Drained,
    Late(Late),
}

/// What a connection waits for besides its requests.
struct ConnectionWaits {
    timer: Timer,
    /// It was told that the listener drains.
    is_drained: bool,
    /// The end of the time for a first request, once the listener drains.
    first_request: Option<Pin<Box<Sleep>>>,
}

impl ConnectionWaits {
    /// Ready once, when the listener drains and the connection has had time for a request. hyper would close a
    /// connection before it has read anything from it. But the connection was accepted, and its client may send a
    /// request.
    fn poll_drained(&mut self, place: &WaitingPlace, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_drained || !place.is_draining() {
            return Poll::Pending;
        }
        if !place.has_asked() {
            ready!(
                self.first_request.get_or_insert_with(|| Box::pin(sleep(FIRST_REQUEST))).as_mut().poll(cx)
            );
        }
        self.is_drained = true;
        Poll::Ready(())
    }
}

impl Life {
    /// From the accepted socket to its end. `open` registers the socket with the runtime of the task. The future is a task
    /// by itself: if another future awaited it, the task of an idle connection would need twice the memory.
    pub(super) async fn run(self, open: impl FnOnce() -> io::Result<TcpStream>) {
        let stream = match open() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to register a connection with its runtime");
                return;
            }
        };
        let Some(stream) = self.secure(stream).await else { return };
        let Some(ended) = self.serve(stream).await else { return };
        self.close(ended).await;
    }

    /// Makes TLS of the connection, if the listener has it. `None`: the connection is over.
    async fn secure(&self, stream: TcpStream) -> Option<Stream> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed before it was served");
            return None;
        }
        let accepted = tokio::select! {
            biased;
            accepted = self.proxy.acceptor.accept(stream, self.proxy.config.header_timeout) => accepted,
            () = self.late() => return None,
            told = self.place.told() => {
                if told == Notice::GiveWay { self.counts.idle.inc() } else { self.counts.vanished.inc() }
                return None;
            }
        };
        accepted
            .inspect_err(|error| {
                self.counts.unsecured.iter().for_each(|count| count.inc());
                tracing::debug!(%error, "TLS handshake failed");
            })
            .ok()
    }

    /// Serves requests until the connection takes no more of them. `None`: the client has vanished, and the connection is
    /// reset.
    async fn serve(&self, stream: Stream) -> Option<Ended> {
        let stream = Resets::new(stream);
        let ends_with_connection = stream.armed();
        let (unwritten, holding) = (Unwritten::default(), Holding::new(self.place.clone()));
        let service = self.service(unwritten.clone(), ends_with_connection.clone(), holding.clone());
        let watched =
            Watched::new(stream, self.place.clone()).with_patience(self.proxy.config.client_stall_timeout);
        let (limit, shown) = (self.proxy.config.read_ahead, self.proxy.families.read_ahead.clone());
        let gathered = Gathered::new(ReadAhead::new(watched, self.place.clone(), limit, shown), unwritten);
        let io: ClientIo = TokioIo::new(Heads::new(gathered, self.place.clone()));
        // hyper's own timer starts with the wait for a head and not with its first byte.
        let mut connection = http1::Builder::new()
            .max_buf_size(self.proxy.config.max_head)
            .max_headers(MAX_FIELDS)
            .preserve_header_case(true)
            // The upstream's `Date` is forwarded.
            .auto_date_header(false)
            .serve_connection(io, service);
        let (result, is_idle) = self.until_end(&mut connection, &ends_with_connection).await?;
        if self.place.has_stalled() {
            self.counts.stalled.inc();
            let holder = holding.holder();
            tracing::info!(
                id = holder.as_ref().map(|of| tracing::field::display(of.id)),
                caller = holder.as_ref().map(|of| &*of.caller),
                "a client that stopped reading was disconnected, because its response held a slot"
            );
            // The data that the system still holds for the client is useless: a reset drops it.
            ends_with_connection.store(true, Relaxed);
            return None;
        }
        if self.place.has_vanished() {
            self.counts.vanished.inc();
        }
        // A response is running. In HTTP/1.0, the end of the connection would look like its end.
        let broke_off = self.place.asks();
        // The rest of a request that the connection holds is dropped first.
        let (gathered, verdict) = connection.into_parts().io.into_inner().into_parts();
        let stream = gathered.into_inner().into_inner();
        Some(Ended { stream, result, verdict, broke_off, is_idle })
    }

    /// Answers the requests of the connection.
    fn service(
        &self,
        unwritten: Unwritten,
        ends_with_connection: Arc<AtomicBool>,
        holding: Holding,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ClientBody>,
        Error = Infallible,
        Future: Send + Unpin,
    > + Send
    + Unpin
    + use<> {
        let (proxy, panics, place) = (self.proxy.clone(), self.counts.panics.clone(), self.place.clone());
        service_fn(move |request: Request<Incoming>| {
            let (receiving, answering) = (place.ask(), place.ask());
            let has_fragment = place.begin(request.body());
            let mut request = request.map(|body| Attended::request(body, receiving));
            if has_fragment {
                request.extensions_mut().insert(Fragment);
            }
            // In HTTP/1.0, the end of the connection may be the end of a response's body.
            ends_with_connection.store(request.version() == Version::HTTP_10, Relaxed);
            let (proxy, panics, unwritten) = (proxy.clone(), panics.clone(), unwritten.clone());
            let (holding, place) = (holding.clone(), place.clone());
            // The measurement starts now: a client that has left when its request is read was here.
            let facts = proxy.facts_of(&request);
            let measurement = proxy.stages.meter.start(facts);
            // Boxed, so that an idle connection does not hold the state of a request.
            Box::pin(async move {
                let mut response = if proxy.keeps_alive(facts) {
                    let (unwritten, holding) = (unwritten.clone(), holding.clone());
                    let parts = ConnectionParts { panics, unwritten, holding };
                    proxy.answer_kept_alive(parts, request, facts, measurement).await
                } else {
                    let response = proxy.answer_guarded(&panics, request, facts, measurement, None).await;
                    response.map(KeptAlive::answered)
                };
                holding.begin(&mut response);
                if place.is_unread() {
                    respond::closes(response.headers_mut());
                }
                Ok::<_, Infallible>(
                    response.map(|body| Attended::answer(Cut::new(body, unwritten), answering)),
                )
            })
        })
    }

    /// Polls the connection until it ends, is late or has to give way. Returns hyper's result, and whether no response is
    /// on its way to the client. `None`: the client has vanished.
    async fn until_end<S>(
        &self,
        connection: &mut http1::Connection<ClientIo, S>,
        ends_with_connection: &AtomicBool,
    ) -> Option<(hyper::Result<()>, bool)>
    where
        S: HttpService<Incoming, ResBody = ClientBody, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
        S::Future: Unpin,
    {
        let config = &self.proxy.config;
        let timer =
            Timer::new(RequestLimits { idle: config.keep_alive_timeout, head: config.header_timeout });
        let mut waits = ConnectionWaits { timer, is_drained: false, first_request: None };
        let mut is_idle = false;
        loop {
            match poll_fn(|cx| self.poll_turn(connection, &mut waits, cx)).await {
                ConnectionTurn::Ended(ended) => return Some((ended, is_idle)),
                ConnectionTurn::Late(late) => {
                    if late == Late::Head {
                        self.proxy.families.malformed(families::HEAD_TIMEOUT);
                    }
                    return Some((Ok(()), true));
                }
                ConnectionTurn::Told(Notice::Vanished) => {
                    self.counts.vanished.inc();
                    // The data that the system still holds for the client is useless: a reset drops it.
                    ends_with_connection.store(true, Relaxed);
                    return None;
                }
                ConnectionTurn::Told(Notice::GiveWay) => {
                    self.counts.idle.inc();
                    is_idle = true;
                    // Part of a head is no request. A response may still be on its way, though.
                    if !self.place.has_asked() {
                        return Some((Ok(()), true));
                    }
                    Pin::new(&mut *connection).graceful_shutdown();
                }
                ConnectionTurn::Drained => {
                    is_idle = !self.place.asks();
                    Pin::new(&mut *connection).graceful_shutdown();
                }
            }
        }
    }

    /// Polls the connection for its end, then for a notice, for a drain and for a time limit.
    fn poll_turn<S>(
        &self,
        connection: &mut http1::Connection<ClientIo, S>,
        waits: &mut ConnectionWaits,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionTurn>
    where
        S: HttpService<Incoming, ResBody = ClientBody, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
        S::Future: Unpin,
    {
        // `poll_without_shutdown` may be over before all is written: a client that has not sent its whole request would
        // lose the rest of an early response. `Gathered` leaves the end of the connection to `close`.
        match Pin::new(connection).poll(cx) {
            Poll::Ready(ended) => return Poll::Ready(ConnectionTurn::Ended(ended)),
            Poll::Pending => {}
        }
        if let Poll::Ready(told) = self.place.poll_told(cx) {
            return Poll::Ready(ConnectionTurn::Told(told));
        }
        if waits.poll_drained(&self.place, cx).is_ready() {
            return Poll::Ready(ConnectionTurn::Drained);
        }
        waits.timer.poll_late(&self.place, cx).map(ConnectionTurn::Late)
    }

    /// Closes the connection so that the client can read what it was sent.
    async fn close(&self, ended: Ended) {
        let Ended { mut stream, result, verdict, broke_off, is_idle } = ended;
        match result {
            Err(error) if (broke_off || error.is_user()) && stream.is_armed() => return,
            Err(error) if !error.is_user() => {
                self.count_malformed(&error);
                if let Some(status) = verdict.and_then(|status| StatusCode::from_u16(status).ok()) {
                    let refusal = respond::head_refusal(status, &error, self.proxy.config.max_head);
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
        // Boxed, since few connections come here.
        let linger = Box::pin(Linger::default().linger(stream.socket(), &self.place, &self.draining));
        if linger.await == Lingered::GaveWay {
            self.counts.lingering.inc();
        }
    }

    /// Ready when a drain began so long ago that it is too late for a first request.
    async fn late(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep(FIRST_REQUEST).await;
    }

    fn count_malformed(&self, error: &hyper::Error) {
        if error.is_parse_too_large() {
            self.proxy.families.malformed(HEAD_TOO_LARGE);
        } else if error.is_parse() {
            self.proxy.families.malformed(families::HEAD);
        }
    }
}
