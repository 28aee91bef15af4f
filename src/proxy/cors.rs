//! Web pages of other origins (CORS): their preflights, and what lets them read a response of our own.

use http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        CONTENT_LENGTH, ORIGIN, TRANSFER_ENCODING, VARY,
    },
    request,
};

use crate::admission::Admission;

/// What a page may read beside the fields that every page may: when to ask again, and what is left of its quotas.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Retry-After, X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, X-RateLimit-Reset-Requests, \
     X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens",
);

/// The page of another origin that a response of our own goes to. Responses of an upstream carry its own fields.
#[derive(Clone, Debug)]
pub(super) struct Page(Option<HeaderValue>);

impl Page {
    /// Of a request. Only a page that Ollama would let read is let read.
    pub(super) fn of(fields: &HeaderMap, admission: &Admission) -> Page {
        Page(fields.get(ORIGIN).and_then(|origin| admission.origin(origin)))
    }

    /// Lets it read the response that has these fields.
    pub(super) fn let_read(&self, fields: &mut HeaderMap) {
        let Some(origin) = &self.0 else { return };
        if origin != "*" {
            fields.append(VARY, HeaderValue::from_static("Origin"));
        }
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Lets a page that the upstream lets read see the fields that we added.
pub(super) fn expose(fields: &mut HeaderMap) {
    if fields.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        fields.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The method of the request that a browser announces with this one; `None`: it announces none. A preflight has no body:
/// a request with one is judged by its key.
pub(super) fn preflight(head: &request::Parts) -> Option<&str> {
    let fields = &head.headers;
    let has_body = fields.contains_key(TRANSFER_ENCODING)
        || fields.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if head.method != Method::OPTIONS || !fields.contains_key(ORIGIN) || has_body {
        return None;
    }
    fields.get(ACCESS_CONTROL_REQUEST_METHOD)?.to_str().ok()
}
