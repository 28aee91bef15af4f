//! Responses that are not streams, and errors in every dialect.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, Lines};
use super::endpoint::{Dialect, Endpoint};
use super::object::json;
use super::seed::Seed;
use super::stamp::unix_now;
use super::version::OllamaVersion;

/// A response.
pub(super) type Reply = Response<Answer>;

/// Why a request is not served, in Ollama's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn no_model(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("model '{name}' not found"))
    }

    pub(super) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server busy, please try again.  maximum pending requests exceeded",
        )
    }

    /// The refusal as the route's dialect writes it.
    pub(super) fn reply(&self, version: OllamaVersion, endpoint: Endpoint) -> Reply {
        let Self { status, message } = self;
        let message = json(message.as_str());
        let anthropic = |kind: &str| {
            let id = Seed::new(unix_now().as_nanos() as u64).digest();
            let id = if version.runs_llama_server() {
                format!(r#","request_id":"req_{}""#, &id[..24])
            } else {
                String::new()
            };
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}}{id}}}"#)
        };
        let openai = |kind: &str| {
            format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":null}}}}"#)
        };
        let body = match (endpoint.dialect(), *status) {
            (Dialect::Ollama, _) => return json_reply(*status, &json!({"error": self.message})),
            (Dialect::OpenAi, StatusCode::BAD_REQUEST) => openai("invalid_request_error"),
            (Dialect::OpenAi, StatusCode::NOT_FOUND) => openai("not_found_error"),
            (Dialect::OpenAi, _) => openai("api_error"),
            (Dialect::Anthropic, StatusCode::BAD_REQUEST) => anthropic("invalid_request_error"),
            (Dialect::Anthropic, StatusCode::NOT_FOUND) => anthropic("not_found_error"),
            (Dialect::Anthropic, StatusCode::SERVICE_UNAVAILABLE) => anthropic("overloaded_error"),
            (Dialect::Anthropic, _) => anthropic("api_error"),
        };
        reply(*status, "application/json", body + "\n")
    }
}

/// A response of any type. An empty body has no type.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let body = body.into();
    let typed = !body.is_empty();
    with_body(status, typed.then_some(content_type), Answer::Whole(body))
}

/// A response with any body.
pub(super) fn with_body(status: StatusCode, content_type: Option<&'static str>, body: Answer) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Some(content_type) = content_type {
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    reply
}

/// JSON as `/api` sends it.
pub(super) fn json_reply(status: StatusCode, body: &Value) -> Reply {
    reply(status, "application/json; charset=utf-8", body.to_string())
}

/// JSON as `/api` sends it, its keys in this order.
pub(super) fn api_reply(body: String) -> Reply {
    reply(StatusCode::OK, "application/json; charset=utf-8", body)
}

/// JSON as `/v1` sends it.
pub(super) fn v1_reply(body: String) -> Reply {
    reply(StatusCode::OK, "application/json", body + "\n")
}

/// Lines of progress.
pub(super) fn lines(lines: Lines) -> Reply {
    with_body(StatusCode::OK, Some("application/x-ndjson"), Answer::Lines(lines))
}

/// No route has this path.
pub(super) fn not_found() -> Reply {
    reply(StatusCode::NOT_FOUND, "text/plain", "404 page not found")
}

/// The route takes these methods, and not the one that was asked for.
pub(super) fn wrong_method(methods: &[Method]) -> Reply {
    let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "405 method not allowed");
    let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        reply.headers_mut().insert(ALLOW, methods);
    }
    reply
}

/// The route has this path, but for a slash.
pub(super) fn moved(method: &Method, path: &str) -> Reply {
    let status =
        if method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    let mut reply = reply(status, "", Bytes::new());
    if let Ok(location) = HeaderValue::from_str(path) {
        reply.headers_mut().insert(LOCATION, location);
    }
    reply
}
