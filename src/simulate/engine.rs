//! From a request to its handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::Config;
use super::decode::{Pace, seconds_each};
use super::endpoint::Endpoint;
use super::faults::{Fate, Faults};
use super::reply::{self, Refusal, Reply};
use super::seed::Seed;
use super::shelf::Shelf;
use super::truth::Truth;
use super::version::{ChatPath, OllamaVersion, UnknownName};
use super::{host, inference, library, transfer};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: Config,
    pub(super) truth: Arc<Truth>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) blobs: transfer::Blobs,
    pub(super) seed: Seed,
    streams: AtomicU64,
    on_loopback: bool,
}

/// A body that was read.
pub(super) enum Body {
    Json(Value),
    /// Not ours to read: it is compressed.
    Opaque,
}

/// What chance and the request's own headers say about one stream.
pub(super) struct Lot {
    pub(super) fate: Fate,
    pub(super) pace: Pace,
    pub(super) path: ChatPath,
    pub(super) seed: Seed,
}

impl Engine {
    pub(super) fn new(config: Config, addr: SocketAddr) -> Self {
        let truth = Arc::new(Truth::new());
        Self {
            shelf: Arc::new(Shelf::new(&config, Arc::clone(&truth))),
            truth,
            blobs: transfer::Blobs::default(),
            seed: Seed::new(config.seed),
            streams: AtomicU64::new(0),
            on_loopback: addr.ip().is_loopback(),
            config,
        }
    }

    pub(super) fn truth(&self) -> Arc<Truth> {
        Arc::clone(&self.truth)
    }

    /// The model that a request means which says none that can be read.
    pub(super) fn default_model(&self) -> &str {
        self.config.models.first().map_or("sim:latest", String::as_str)
    }

    /// Serves a request.
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let (endpoint, rest) = Endpoint::find(head.uri.path());
        self.truth.count_request(endpoint);
        if self.on_loopback && !host::is_known(&head.headers) || !host::is_welcome(&head.headers) {
            return reply::reply(StatusCode::FORBIDDEN, "", Bytes::new());
        }
        if head.method == Method::OPTIONS {
            return reply::reply(StatusCode::NO_CONTENT, "", Bytes::new());
        }
        if !endpoint.is_in(self.config.version) {
            let path = head.uri.path();
            return match Endpoint::without_slash(path) {
                Some(there) => reply::moved(&head.method, there),
                None => reply::not_found(),
            };
        }
        if !endpoint.allows(&head.method) {
            return reply::wrong_method();
        }
        let served = match endpoint {
            Endpoint::Blobs => Ok(transfer::blob(self, &head.method, &rest, body).await),
            Endpoint::OpenAiModel => library::model(self, &rest),
            _ => self.dispatch(endpoint, &head.method, &head.headers, body).await,
        };
        served.unwrap_or_else(|refusal| refusal.reply(endpoint))
    }

    async fn dispatch(
        &self,
        endpoint: Endpoint,
        method: &Method,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        if method == Method::GET || method == Method::HEAD {
            return Ok(library::get(self, endpoint));
        }
        let body = read(headers, body).await?;
        match endpoint {
            Endpoint::Show | Endpoint::Copy | Endpoint::Delete => library::post(self, endpoint, &body.json()),
            Endpoint::Pull | Endpoint::Push | Endpoint::Create => {
                transfer::post(self, endpoint, &body.json())
            }
            _ => inference::post(self, endpoint, headers, &body.json()).await,
        }
    }

    /// Draws what happens to the next stream.
    pub(super) fn draw(&self, headers: &HeaderMap) -> Result<Lot, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let seed = self.seed.child(self.streams.fetch_add(1, Relaxed));
        let fate = match header("x-simulate-fault") {
            Some(spec) => Faults::certain(spec).map_err(|error| Refusal::bad(error.to_string()))?.draw(seed),
            None => self.config.faults.draw(seed),
        };
        let rate = match header("x-simulate-rate") {
            Some(rate) => rate.parse().map_err(|_| Refusal::bad("x-simulate-rate is no number"))?,
            None => self.config.rate,
        };
        let path = match header("x-simulate-chat") {
            Some(path) => path
                .parse()
                .map_err(|error: UnknownName| Refusal::bad(format!("x-simulate-chat: {error}")))?,
            None => self.config.chat,
        };
        let Config { version, contention, jitter, .. } = self.config;
        // 0.12 knows no other.
        let path = if version == OllamaVersion::V0_12 { ChatPath::GoTemplate } else { path };
        Ok(Lot { fate, pace: Pace { version, interval: seconds_each(rate), contention, jitter }, path, seed })
    }
}

impl Body {
    fn json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Opaque => Value::Null,
        }
    }
}

async fn read(headers: &HeaderMap, body: Incoming) -> Result<Body, Refusal> {
    let body = body.collect().await.map_err(|_| Refusal::bad("unexpected EOF"))?.to_bytes();
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        return Ok(Body::Opaque);
    }
    if body.is_empty() {
        return Err(Refusal::bad("missing request body"));
    }
    serde_json::from_slice(&body).map(Body::Json).map_err(|error| Refusal::bad(error.to_string()))
}
