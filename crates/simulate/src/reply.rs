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

/// Go's net/http buffers this many bytes of a response. A body that fits gets a Content-Length; a longer one is
/// chunked.
const BUFFER: usize = 2048;

/// The reason why a request is refused, in Ollama's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    by: Refuser,
}

/// The part of Ollama that refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refuser {
    /// The part that passes requests under `/v1` on to the cloud. It uses no dialect.
    Passage,
    /// The part that reads a body, and translates it if it is under `/v1`.
    Translation,
    Handler,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), by: Refuser::Handler }
    }

    /// The body cannot be read, or lacks a field that the dialect requires.
    pub(super) fn untranslated(message: impl Into<String>) -> Self {
        Self { by: Refuser::Translation, ..Self::bad(message) }
    }

    /// The body cannot be decoded.
    #[cfg(feature = "coding")]
    pub(super) fn undecoded(message: impl Into<String>) -> Self {
        Self { by: Refuser::Passage, ..Self::bad(message) }
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

    /// Formats the refusal in the dialect of the route.
    pub(super) fn reply(&self, version: OllamaVersion, endpoint: Endpoint) -> Reply {
        let Self { status, message, by } = self;
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
            // Since 0.34, which added compaction, these two routes write the type as the code too.
            let is_twice = version >= OllamaVersion::V0_34
                && *status == StatusCode::BAD_REQUEST
                && matches!(endpoint, Endpoint::OpenAiResponses | Endpoint::Compact);
            let code = if is_twice { format!("\"{kind}\"") } else { "null".into() };
            format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":{code}}}}}"#)
        };
        let body = match (endpoint.dialect(), *status) {
            (Dialect::Ollama, _) => return json_reply(*status, &json!({"error": self.message})),
            _ if *by == Refuser::Passage => return json_reply(*status, &json!({"error": self.message})),
            // 0.12 reports a refusal by a handler as an error of its own, whatever the status is.
            (Dialect::OpenAi, _) if !version.runs_llama_server() && *by == Refuser::Handler => {
                openai("api_error")
            }
            (Dialect::OpenAi, StatusCode::BAD_REQUEST) => openai("invalid_request_error"),
            (Dialect::OpenAi, StatusCode::NOT_FOUND) => openai("not_found_error"),
            (Dialect::OpenAi, _) => openai("api_error"),
            (Dialect::Anthropic, StatusCode::BAD_REQUEST) => anthropic("invalid_request_error"),
            (Dialect::Anthropic, StatusCode::NOT_FOUND) => anthropic("not_found_error"),
            (Dialect::Anthropic, StatusCode::SERVICE_UNAVAILABLE) => anthropic("overloaded_error"),
            (Dialect::Anthropic, _) => anthropic("api_error"),
        };
        match by {
            Refuser::Handler => reply(*status, "application/json", body + "\n"),
            _ => reply(*status, "application/json; charset=utf-8", body),
        }
    }
}

/// A response of any type. An empty body has no type.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let body = body.into();
    let typed = !body.is_empty();
    let body = if body.len() > BUFFER { Answer::Chunked(body) } else { Answer::Whole(body) };
    with_body(status, typed.then_some(content_type), body)
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

/// Sends JSON as `/api` does, with its keys in this order.
pub(super) fn api_reply(body: String) -> Reply {
    reply(StatusCode::OK, "application/json; charset=utf-8", body)
}

/// JSON as `/v1` sends it.
pub(super) fn v1_reply(body: String) -> Reply {
    reply(StatusCode::OK, "application/json", body + "\n")
}

/// Sends lines of progress.
pub(super) fn lines(lines: Lines) -> Reply {
    with_body(StatusCode::OK, Some("application/x-ndjson"), Answer::Lines(lines))
}

/// No route has this path.
pub(super) fn not_found() -> Reply {
    reply(StatusCode::NOT_FOUND, "text/plain", "404 page not found")
}

/// The route does not have the requested method. `methods` are those that it has.
pub(super) fn wrong_method(methods: &[Method]) -> Reply {
    let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "405 method not allowed");
    let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        reply.headers_mut().insert(ALLOW, methods);
    }
    reply
}

/// Redirects as gin does: a route has this path except for a slash.
pub(super) fn moved(method: &Method, to: &str) -> Reply {
    let status =
        if method == Method::GET { StatusCode::MOVED_PERMANENTLY } else { StatusCode::TEMPORARY_REDIRECT };
    redirect(status, method, to)
}

/// Redirects as Go's ServeMux does if the path is not clean. (301 if Ollama was built with a Go before 1.26.)
pub(super) fn cleaned(method: &Method, to: &str) -> Reply {
    redirect(StatusCode::TEMPORARY_REDIRECT, method, to)
}

fn redirect(status: StatusCode, method: &Method, to: &str) -> Reply {
    let why = status.canonical_reason().unwrap_or_default();
    let escaped = to.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
    let body = format!("<a href=\"{escaped}\">{why}</a>.\n\n");
    let is_read = method == Method::GET || method == Method::HEAD;
    let body = if method == Method::GET { Bytes::from(body) } else { Bytes::new() };
    let mut reply = with_body(status, is_read.then_some("text/html; charset=utf-8"), Answer::Whole(body));
    if let Ok(location) = HeaderValue::from_str(to) {
        reply.headers_mut().insert(LOCATION, location);
    }
    reply
}
