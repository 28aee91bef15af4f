//! Keep-alive lines for a stream whose first token is late (`proxy.sse_keep_alive`): the sidecar sends the head of the
//! response and comment lines until the upstream's response begins.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use prometheus::IntCounter;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::{
    Proxy,
    cors::Page,
    held_slot::Holding,
    inbound::Inbound,
    respond::{self, Outgoing},
    response_fields,
    unwritten::Unwritten,
};
use crate::{
    admission::Permit,
    meter::{Delivered, Facts, Live, Measurement},
    protocol::Dialect,
};

/// A comment, which clients of server-sent events ignore.
const COMMENT: &[u8] = b": keep-alive\n\n";
/// The event that Anthropic's protocol has for this.
const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

const fn line(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Anthropic => PING,
        Dialect::Ollama | Dialect::OpenAi => COMMENT,
    }
}

/// Whether and with which fields the client may get a head before the upstream's response.
#[derive(Debug)]
pub(super) struct EarlyHead {
    live: Arc<Live>,
    fields: OnceLock<HeaderMap>,
}

impl EarlyHead {
    /// From now on the head may be sent: the request is admitted, and its model is allowed.
    pub(super) fn allow(&self, permit: &Permit, page: &Page, is_read: bool) {
        let mut fields = respond::head_fields("text/event-stream");
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        permit.allowances().write(&mut fields);
        page.let_read(&mut fields);
        if !is_read {
            // If the rest of the request does not come, the connection can take no other request.
            respond::closes(&mut fields);
        }
        // A request is read once.
        let _ = self.fields.set(fields);
    }

    /// Whether the client has the head.
    pub(super) fn is_sent(&self) -> bool {
        self.live.has_responded_early()
    }
}

/// The parts of a client's connection that a late response needs.
pub(super) struct ConnectionParts {
    pub(super) panics: Arc<IntCounter>,
    pub(super) unwritten: Unwritten,
    pub(super) holding: Holding,
}

impl Proxy {
    /// Whether a request may get keep-alive lines, as far as its head tells.
    pub(super) fn keeps_alive(&self, facts: Facts) -> bool {
        !self.config.sse_keep_alive.is_zero() && facts.route.streams_events()
    }

    /// Answers a request that may get keep-alive lines. Dropping the response ends the request, whether its answer has
    /// begun or not.
    pub(super) async fn answer_kept_alive(
        self: Arc<Proxy>,
        connection: ConnectionParts,
        request: Request<Inbound>,
        facts: Facts,
        measurement: Measurement,
    ) -> Response<KeptAlive<Delivered<Outgoing>>> {
        let pause = self.config.sse_keep_alive;
        let live = measurement.live().clone();
        let early = Arc::new(EarlyHead { live: live.clone(), fields: OnceLock::new() });
        let ConnectionParts { panics, unwritten, holding } = connection;
        let mut answering: Answering<_> = {
            let (proxy, early) = (self.clone(), early.clone());
            Box::pin(
                async move { proxy.answer_guarded(&panics, request, facts, measurement, Some(&early)).await },
            )
        };
        let mut timer = None;
        let answered = poll_fn(|cx| {
            if let Poll::Ready(response) = answering.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            let Some(fields) = early.fields.get() else { return Poll::Pending };
            ready!(timer.get_or_insert_with(|| Box::pin(sleep(pause))).as_mut().poll(cx));
            Poll::Ready(Err(fields.clone()))
        });
        let fields = match answered.await {
            Ok(response) => return response.map(KeptAlive::answered),
            Err(fields) => fields,
        };
        self.stages.meter.responded_early(&live, StatusCode::OK);
        tracing::debug!(id = %live.id(), "the first token is late: keep-alive lines are sent");
        let waiting = LateResponse::new(answering, line(facts.dialect), pause, unwritten, holding);
        let mut response = Response::new(KeptAlive { body: None, waiting: Some(Box::new(waiting)) });
        *response.headers_mut() = fields;
        if self.config.response_fields {
            response_fields::write_early(&live, response.headers_mut());
        }
        response
    }
}

type Answering<B> = Pin<Box<dyn Future<Output = Response<B>> + Send>>;

/// A response that has not come yet.
struct LateResponse<B> {
    /// `None` once the response came, of which no byte came yet.
    answering: Option<Answering<B>>,
    line: &'static [u8],
    beat: Interval,
    is_first: bool,
    unwritten: Unwritten,
    holding: Holding,
}

impl<B> LateResponse<B> {
    fn new(
        answering: Answering<B>,
        line: &'static [u8],
        pause: Duration,
        unwritten: Unwritten,
        holding: Holding,
    ) -> LateResponse<B> {
        // The first line is due at once.
        let mut beat = interval(pause);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        LateResponse { answering: Some(answering), line, beat, is_first: true, unwritten, holding }
    }

    /// Ready with the body of the response, once.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<B> {
        let Some(answering) = &mut self.answering else { return Poll::Pending };
        let mut response = ready!(answering.as_mut().poll(cx));
        self.answering = None;
        self.holding.begin(&mut response);
        Poll::Ready(response.into_body())
    }

    /// Ready with each line that is due. A client that does not read gets no further one, so that hyper keeps room for
    /// the response and continues to poll.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            ready!(self.beat.poll_tick(cx));
            if std::mem::take(&mut self.is_first) || !self.unwritten.is_there() {
                return Poll::Ready(Bytes::from_static(self.line));
            }
        }
    }
}

pin_project! {
    /// The body of a response, or the keep-alive lines until it begins. Only their pieces and the pieces of the body pass.
    pub(super) struct KeptAlive<B> {
        #[pin]
        body: Option<B>,
        waiting: Option<Box<LateResponse<B>>>,
    }
}

impl<B> KeptAlive<B> {
    /// The body of a response that came in time.
    pub(super) fn answered(body: B) -> KeptAlive<B> {
        KeptAlive { body: Some(body), waiting: None }
    }
}

impl<B: Body<Data = Bytes>> Body for KeptAlive<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Some(waiting) = this.waiting.as_deref_mut() {
            if let Poll::Ready(body) = waiting.poll_answer(cx) {
                this.body.set(Some(body));
            }
            if let Some(body) = this.body.as_mut().as_pin_mut()
                && let Poll::Ready(frame) = body.poll_frame(cx)
            {
                *this.waiting = None;
                return Poll::Ready(frame);
            }
            return waiting.poll_line(cx).map(|line| Some(Ok(Frame::data(line))));
        }
        match this.body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.waiting, &self.body) {
            (None, Some(body)) => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::connection::Places;

    const PAUSE: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn client_that_does_not_read_gets_one_line_more_at_most() {
        let unwritten = Unwritten::default();
        let answering: Answering<()> = Box::pin(std::future::pending());
        let mut waiting = LateResponse::new(
            answering,
            COMMENT,
            PAUSE,
            unwritten.clone(),
            Holding::new(Places::default().add(0)),
        );
        let mut cx = Context::from_waker(Waker::noop());
        // The head of the response is not written yet.
        unwritten.added();
        assert_eq!(waiting.poll_line(&mut cx), Poll::Ready(Bytes::from_static(COMMENT)));
        for _ in 0..1000 {
            tokio::time::advance(PAUSE).await;
            assert!(waiting.poll_line(&mut cx).is_pending());
        }
        unwritten.flushed(&cx);
        assert!(waiting.poll_line(&mut cx).is_pending(), "its time has not come");
        tokio::time::advance(PAUSE).await;
        assert_eq!(waiting.poll_line(&mut cx), Poll::Ready(Bytes::from_static(COMMENT)));
    }

    #[test]
    fn only_streams_of_server_sent_events_get_lines() {
        let gets = |method, path| Facts::new(method, path).route.streams_events();
        for path in ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"] {
            assert!(gets("POST", path), "{path}");
            assert!(!gets("HEAD", path) && !gets("GET", path), "{path}");
        }
        for path in ["/api/chat", "/v1/embeddings", "/v1/responses/compact", "/v1/unknown", "/"] {
            assert!(!gets("POST", path), "{path}");
        }
    }
}
