//! Maps a request to its handler.

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    account,
    endpoint::{Dialect, Endpoint},
    engine::Engine,
    host, inference, library, multipart,
    reply::{self, Refusal, Reply},
    transfer,
    version::OllamaVersion,
    zstd,
};

impl Engine {
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
            Endpoint::Me | Endpoint::Signout | Endpoint::UserKey => Ok(account::account(self, endpoint)),
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
            Endpoint::Status | Endpoint::Recommendations => return Ok(account::get(self, endpoint)),
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
            Endpoint::WebSearch | Endpoint::WebFetch => Ok(account::web(self, endpoint)),
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
