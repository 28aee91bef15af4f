//! Responses of the admin address, by their type.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// A response of plain text.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    of_type(status, "text/plain; charset=utf-8", text.into())
}

/// A response of JSON.
pub(super) fn json(text: String) -> Response<Full<Bytes>> {
    of_type(StatusCode::OK, "application/json", text)
}

/// A response of this type, which a browser may not take for another.
pub(super) fn of_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Responses contain names from outside, so browsers must not guess another content type.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
