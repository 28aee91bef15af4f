//! Maps a request to its handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Config;
use super::decode::{Pace, seconds_each};
use super::endpoint::{Dialect, Endpoint};
use super::faults::{Fate, Faults};
use super::reply::{self, Refusal, Reply};
use super::seed::Seed;
use super::shelf::Shelf;
use super::truth::Truth;
use super::version::{ChatPath, OllamaVersion, UnknownName};
use super::{cloud, host, inference, library, multipart, transfer, zstd};

/// The state that all connections share.
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

/// The random draws for one stream, and the settings of the request's own headers.
pub(super) struct Lot {
    pub(super) fate: Fate,
    pub(super) pace: Pace,
    pub(super) path: ChatPath,
    /// The number of records that are sent together.
    pub(super) group: u32,
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

    /// Returns the model of a request that names no readable one.
    pub(super) fn default_model(&self) -> &str {
        self.config.models.first().map_or("sim:latest", String::as_str)
    }

    /// Serves a request.
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let (endpoint, rest) = Endpoint::find(head.uri.path());
        self.truth.count_request(endpoint);
        let with_query = |path: String| match head.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        // Go checks the path before Ollama sees the request.
        if let Some(there) = Endpoint::clean(head.uri.path()) {
            return reply::cleaned(&head.method, &with_query(there));
        }
        if self.on_loopback && !host::is_known(&head.headers) || !host::is_welcome(&head.headers) {
            return reply::reply(StatusCode::FORBIDDEN, "", Bytes::new());
        }
        if head.method == Method::OPTIONS {
            return reply::reply(StatusCode::NO_CONTENT, "", Bytes::new());
        }
        if !endpoint.is_in(self.config.version) {
            let path = head.uri.path();
            let there = Endpoint::without_slash(path)
                .filter(|there| Endpoint::find(there).0.methods().contains(&head.method));
            return match there {
                Some(there) => reply::moved(&head.method, &with_query(there.to_owned())),
                None => reply::not_found(),
            };
        }
        if !endpoint.methods().contains(&head.method) {
            return reply::wrong_method(endpoint.methods());
        }
        let served = match endpoint {
            Endpoint::Blobs => Ok(transfer::blob(self, &head.method, &rest, body).await),
            Endpoint::OpenAiModel => library::model(self, &rest),
            Endpoint::Me | Endpoint::Signout | Endpoint::UserKey => Ok(cloud::account(self, endpoint)),
            _ => self.dispatch(endpoint, &head.method, &head.headers, body).await,
        };
        served.unwrap_or_else(|refusal| refusal.reply(self.config.version, endpoint))
    }

    async fn dispatch(
        &self,
        endpoint: Endpoint,
        method: &Method,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        match endpoint {
            Endpoint::Status | Endpoint::Recommendations => return Ok(cloud::get(self, endpoint)),
            _ if method == Method::GET || method == Method::HEAD => return Ok(library::get(self, endpoint)),
            _ => {}
        }
        let body = body.collect().await.map_err(|_| Refusal::bad("unexpected EOF"))?.to_bytes();
        let form = match endpoint {
            Endpoint::Transcriptions => form(headers, &body)?,
            _ => self.read(endpoint, headers, &body)?,
        };
        match endpoint {
            Endpoint::Show | Endpoint::Copy | Endpoint::Delete => library::post(self, endpoint, &form),
            Endpoint::Pull | Endpoint::Push | Endpoint::Create => transfer::post(self, endpoint, &form),
            Endpoint::WebSearch | Endpoint::WebFetch => Ok(cloud::web(self, endpoint)),
            _ => inference::post(self, endpoint, headers, &form).await,
        }
    }

    /// The body as JSON. In a build without the feature `coding`, a zstd body under `/v1` is read as null.
    fn read(&self, endpoint: Endpoint, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
        let zstd = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "zstd");
        if zstd && endpoint.takes_zstd() && self.config.version.runs_llama_server() {
            return zstd::read(body, |body| object(self.config.version, endpoint, body));
        }
        object(self.config.version, endpoint, body)
    }

    /// Draws the faults and the speed of the next stream.
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
        // 0.12 has no other path.
        let path = if version == OllamaVersion::V0_12 { ChatPath::GoTemplate } else { path };
        Ok(Lot {
            fate,
            pace: Pace { version, interval: seconds_each(rate), contention, jitter },
            path,
            group: 1,
            seed,
        })
    }
}

/// Decodes a JSON object as Go decodes one into a struct.
fn object(version: OllamaVersion, endpoint: Endpoint, body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        let is_native = endpoint.dialect() == Dialect::Ollama;
        return Err(Refusal::untranslated(if is_native { "missing request body" } else { "EOF" }));
    }
    let value = serde_json::from_slice(body).map_err(|error| Refusal::untranslated(error.to_string()))?;
    let kind = match value {
        Value::Object(_) => return Ok(value),
        // `null` sets no field.
        Value::Null => return Ok(json!({})),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    let (before, go_type) = endpoint.go_type(version);
    let message = format!("{before}json: cannot unmarshal {kind} into Go value of type {go_type}");
    Err(Refusal::untranslated(message))
}

/// Translates the form of a transcription into the JSON of a chat.
fn form(headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = multipart::fields(content_type, body).ok_or_else(|| {
        Refusal::bad("failed to parse multipart form: request Content-Type isn't multipart/form-data")
    })?;
    let field = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.value);
    let text = |name: &str| String::from_utf8_lossy(field(name).unwrap_or_default()).into_owned();
    if text("model").is_empty() {
        return Err(Refusal::bad("model is required"));
    }
    let audio = field("file").ok_or_else(|| Refusal::bad("file is required: http: no such file"))?;
    if audio.is_empty() {
        return Err(Refusal::bad("audio file is empty"));
    }
    // One word per kilobyte, so a longer file takes longer.
    let words = "x ".repeat(audio.len().div_ceil(1024));
    Ok(json!({
        "model": text("model"), "stream": true, "response_format": text("response_format"),
        "messages": [{"role": "user", "content": words}],
    }))
}
