//! The only place where a failure becomes a response: a status, and a body in the client's dialect.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use pin_project_lite::pin_project;
use serde_json::{Value, json};

use super::{
    headers::{self, MAX_FIELDS, Malformed},
    upload::Unread,
};
use crate::{
    admission::{Permit, Refusal},
    meter::{Facts, Outcome, Tap},
    protocol::{Coding, Dialect, Framing, Route},
    scheduler::NoSlot,
    shaping::Shaped,
    upstream::{Answer, Broken, Unanswered},
};

/// The most bytes of an upstream's error that are read to send it as an event, and the longest time.
const MOST_ERROR: usize = 64 << 10;
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

pin_project! {
    /// A body that is sent to the client, before its outcome is recorded.
    #[derive(Debug)]
    #[project = OutgoingProjection]
    pub(super) enum Outgoing {
        /// The body of an upstream's response.
        Forwarded { #[pin] body: Shaped<Tap<Answer>> },
        /// The body of the sidecar's own response.
        Ours { text: Bytes },
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.project() {
            OutgoingProjection::Forwarded { body } => {
                let polled = body.poll_frame(cx);
                #[cfg(test)]
                tests::panic_if_wanted(&polled);
                polled
            }
            OutgoingProjection::Ours { text } if text.is_empty() => Poll::Ready(None),
            OutgoingProjection::Ours { text } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Forwarded { body } => body.is_end_stream(),
            Outgoing::Ours { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Forwarded { body } => body.size_hint(),
            Outgoing::Ours { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}

/// Why a request got no response of an upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Unread(#[from] Unread),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("upstream \"{upstream}\" {why}")]
    Unanswered { upstream: String, why: Unanswered },
    #[error("upstream \"{upstream}\" sent no response within {limit:?}")]
    HeadTimeout { upstream: String, limit: Duration },
    #[error("upstream \"{upstream}\" switched protocols without being asked")]
    Switched { upstream: String },
    #[error("upstream \"{upstream}\" responded with a transfer coding other than chunked")]
    UnknownCoding { upstream: String },
    #[error(
        "the address of upstream \"{upstream}\" leads back to this sidecar: set it to the address of an Ollama"
    )]
    Loop { upstream: String },
    #[error("this sidecar received its own health probe: one of its upstreams leads back to it")]
    OwnProbe,
    #[error("no upstream has sent its list of models: try again")]
    NoList,
    #[error("the sidecar failed, which is a bug: see its log")]
    Panicked,
    #[error("upstream \"{upstream}\" responded with {status} after keep-alive lines were sent")]
    Late { upstream: String, status: StatusCode, error: Option<Box<Value>> },
    #[error("upstream \"{upstream}\" responded with no plain event stream after keep-alive lines were sent")]
    NoEvents { upstream: String },
}

impl Failure {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Failure::Refused(refusal) => refusal.status(),
            Failure::Malformed(Malformed::Connect) => StatusCode::METHOD_NOT_ALLOWED,
            Failure::Malformed(Malformed::Coding) => StatusCode::NOT_IMPLEMENTED,
            Failure::Malformed(Malformed::TooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Failure::Malformed(Malformed::Target | Malformed::Host | Malformed::Body)
            | Failure::Unread(Unread::Malformed | Unread::Gone) => StatusCode::BAD_REQUEST,
            Failure::Unread(Unread::Idle) => StatusCode::REQUEST_TIMEOUT,
            Failure::Unanswered { why: Unanswered::ConnectTimeout(_) | Unanswered::Stalled(_), .. }
            | Failure::HeadTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Failure::Unanswered { .. }
            | Failure::Switched { .. }
            | Failure::UnknownCoding { .. }
            | Failure::NoEvents { .. } => StatusCode::BAD_GATEWAY,
            Failure::Late { status, .. } => *status,
            Failure::Loop { .. } | Failure::OwnProbe => StatusCode::LOOP_DETECTED,
            Failure::NoList => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether nothing of the request was sent to an upstream.
    pub(super) const fn is_unsent(&self) -> bool {
        matches!(self, Failure::Unanswered { why, .. } if why.is_unsent())
    }

    /// Whether the upstream itself gave no valid response. A response that Ollama passes on from its cloud is none
    /// of these.
    pub(super) const fn is_of_connection(&self) -> bool {
        matches!(self, Failure::Unanswered { .. } | Failure::Switched { .. } | Failure::UnknownCoding { .. })
    }

    /// The outcome of the request. After keep-alive lines, an error of the client is still one.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Failure::Malformed(_) => Outcome::ClientError,
            Failure::Unread(why) => why.outcome(),
            Failure::Refused(_) => Outcome::Refused,
            Failure::Late { status, .. } if status.is_client_error() => Outcome::ClientError,
            Failure::Late { .. } => Outcome::LateError,
            Failure::Unanswered { .. }
            | Failure::HeadTimeout { .. }
            | Failure::Switched { .. }
            | Failure::UnknownCoding { .. }
            | Failure::Loop { .. }
            | Failure::OwnProbe
            | Failure::NoList
            | Failure::NoEvents { .. }
            | Failure::Panicked => Outcome::UpstreamError,
        }
    }

    /// Whether the connection cannot take another request, since its next bytes may belong to this one.
    const fn closes(&self) -> bool {
        matches!(self, Failure::Malformed(_) | Failure::Unread(_))
    }

    /// The response for this failure.
    pub(super) fn response(&self, dialect: Dialect) -> Response<Outgoing> {
        let status = self.status();
        let text = body(dialect, status, &self.to_string());
        let mut response = json(status, "application/json", text.into());
        let fields = response.headers_mut();
        if let Failure::Refused(refusal) = self {
            refusal.write(fields);
        }
        if self.closes() {
            closes(fields);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            fields.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS"));
        }
        response
    }
}

/// Announces that the connection closes after this response (RFC 9112 9.6).
pub(super) fn closes(fields: &mut HeaderMap) {
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// The whole response to a head that hyper could not parse. The dialect of the client is not known.
pub(super) fn head_refusal(status: StatusCode, why: &hyper::Error, max_head: usize) -> Vec<u8> {
    let message = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            format!("the request head has more than {MAX_FIELDS} header fields or more than {max_head} bytes")
        }
        StatusCode::URI_TOO_LONG => "the request target is too long".to_owned(),
        _ => format!("the request head is malformed: {why}"),
    };
    let text = body(Dialect::Ollama, status, &message);
    let date = httpdate::fmt_http_date(SystemTime::now());
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nDate: {date}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

/// A list that is merged from several upstreams, with Ollama's content type.
pub(super) fn list(text: Vec<u8>, is_head: bool) -> Response<Outgoing> {
    // For HEAD the body is not sent, and an untaken body would look as if the client had disconnected.
    let (length, text) = (text.len(), if is_head { Vec::new() } else { text });
    let mut response = json(StatusCode::OK, "application/json; charset=utf-8", text.into());
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

fn json(status: StatusCode, content_type: &'static str, text: Bytes) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::Ours { text });
    *response.status_mut() = status;
    *response.headers_mut() = head_fields(content_type);
    response
}

/// The fields of a response of the sidecar itself.
pub(super) fn head_fields(content_type: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())) {
        fields.insert(header::DATE, date);
    }
    fields
}

/// The end of a stream that fails after its head was sent: the error as an event of the client's dialect. Its head is
/// not used.
pub(super) fn event(failure: &Failure, facts: Facts) -> Response<Outgoing> {
    let told = match failure {
        Failure::Late { error, .. } => error.as_deref().cloned(),
        _ => None,
    };
    let error = told.unwrap_or_else(|| error(facts.dialect, failure.status(), &failure.to_string()));
    let text = match facts.dialect {
        Dialect::Anthropic => format!("event: error\ndata: {error}\n\n"),
        _ if facts.route == Route::OpenaiResponses => {
            // These are the fields of OpenAI's event `error`. Its clients raise an exception only for the object `error`.
            let event = json!({
                "type": "error",
                "sequence_number": 0,
                "code": error["error"]["code"],
                "message": error["error"]["message"],
                "param": error["error"]["param"],
                "error": error["error"],
            });
            format!("event: error\ndata: {event}\n\n")
        }
        Dialect::OpenAi | Dialect::Ollama => format!("data: {error}\n\n"),
    };
    Response::new(Outgoing::Ours { text: text.into() })
}

/// The response, if it can follow keep-alive lines: a stream of events without a content coding. Otherwise the error
/// that the upstream reports.
pub(super) async fn following(
    response: Response<Answer>,
    upstream: &str,
) -> Result<Response<Answer>, Failure> {
    let (status, upstream) = (response.status(), upstream.to_owned());
    let fields = response.headers();
    let framing = headers::content_type(fields).and_then(Framing::of);
    if status == StatusCode::OK
        && framing == Some(Framing::Sse)
        && headers::coding(fields) == Coding::Identity
    {
        return Ok(response);
    }
    if status.is_success() {
        return Err(Failure::NoEvents { upstream });
    }
    let body = Limited::new(response.into_body(), MOST_ERROR).collect();
    let text = tokio::time::timeout(ERROR_PATIENCE, body).await.ok().and_then(Result::ok);
    let error = text.and_then(|text| serde_json::from_slice::<Value>(&text.to_bytes()).ok());
    let error = error.filter(|error| error.get("error").is_some_and(Value::is_object)).map(Box::new);
    Err(Failure::Late { upstream, status, error })
}

/// An error in the format of the dialect.
fn body(dialect: Dialect, status: StatusCode, message: &str) -> String {
    error(dialect, status, message).to_string()
}

fn error(dialect: Dialect, status: StatusCode, message: &str) -> Value {
    let kind = kind(dialect, status);
    match dialect {
        Dialect::Ollama => json!({"error": message}),
        Dialect::OpenAi => json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
        Dialect::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
    }
}

/// The type of an error, in dialects that have one.
fn kind(dialect: Dialect, status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::SERVICE_UNAVAILABLE if dialect == Dialect::Anthropic => "overloaded_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}

/// The refusal of a request that got no slot.
pub(super) fn refuse(none: NoSlot, permit: &Permit) -> Failure {
    let refusal = match none {
        NoSlot::Full { wait, .. } => Refusal::QueueFull { wait },
        NoSlot::Late { wait, .. } => Refusal::QueueTimeout { wait },
    };
    permit.refuse(&refusal);
    Failure::Refused(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with which a test of the sidecar causes a panic.
    pub(super) fn panic_if_wanted<E>(polled: &Poll<Option<Result<Frame<Bytes>, E>>>) {
        if let Poll::Ready(Some(Ok(frame))) = polled {
            let wanted = frame.data_ref().is_some_and(|data| &data[..] == b"panic\n");
            assert!(!wanted, "a test wants it");
        }
    }

    #[test]
    fn error_response_has_the_format_of_each_dialect() {
        let failure = Failure::HeadTimeout { upstream: "gpu0".to_owned(), limit: Duration::from_secs(3) };
        assert_eq!(failure.status(), 504);
        let message = "upstream \"gpu0\" sent no response within 3s";
        for (dialect, place) in [
            (Dialect::Ollama, "/error"),
            (Dialect::OpenAi, "/error/message"),
            (Dialect::Anthropic, "/error/message"),
        ] {
            let text = body(dialect, failure.status(), &failure.to_string());
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value.pointer(place).and_then(Value::as_str), Some(message));
        }
    }
}
