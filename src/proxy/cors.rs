//! Web pages of other origins (CORS): preflights, and the fields that let a page read the sidecar's own responses.

use http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        CONTENT_LENGTH, ORIGIN, TRANSFER_ENCODING, VARY,
    },
    request,
};

use crate::admission::Admission;

/// The header fields that a page may read in addition to the usual ones: when to retry, and the rest of its quotas.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Retry-After, X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, X-RateLimit-Reset-Requests, \
     X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens",
);

/// The web page of another origin that receives the sidecar's own response. Responses of an upstream have their own
/// fields.
#[derive(Clone, Debug)]
pub(super) struct Page(Option<HeaderValue>);

impl Page {
    /// The page of a request. Only a page that Ollama would allow may read the response.
    pub(super) fn of(fields: &HeaderMap, admission: &Admission) -> Page {
        Page(fields.get(ORIGIN).and_then(|origin| admission.origin(origin)))
    }

    /// Adds the fields that let the page read the response.
    pub(super) fn let_read(&self, fields: &mut HeaderMap) {
        let Some(origin) = &self.0 else { return };
        if origin != "*" {
            fields.append(VARY, HeaderValue::from_static("Origin"));
        }
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Lets a page that may read the upstream's response read the fields that the sidecar added.
pub(super) fn expose(fields: &mut HeaderMap) {
    if fields.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Lets a page that may read the response read the fields of `proxy.response_fields`.
pub(super) fn expose_response_fields(fields: &mut HeaderMap) {
    if fields.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        let names = HeaderValue::from_static("X-Streamgauge-Request-Id, Server-Timing");
        fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
}

/// The method of the request that a preflight announces; `None`: the request is not a preflight. A preflight has no
/// body, so that a request with a body must be admitted by its key.
pub(super) fn preflight(head: &request::Parts) -> Option<&str> {
    let fields = &head.headers;
    let has_body = fields.contains_key(TRANSFER_ENCODING)
        || fields.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if head.method != Method::OPTIONS || !fields.contains_key(ORIGIN) || has_body {
        return None;
    }
    fields.get(ACCESS_CONTROL_REQUEST_METHOD)?.to_str().ok()
}
