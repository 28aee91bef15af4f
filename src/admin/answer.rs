//! Answers the requests of one connection: checks the token and limits how often a client may try one.

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request};
use http_body::Body;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};

use super::{
    Admin,
    attempts::{ConnectionTrust, Verdict},
    recording::AdminBody,
    response::text,
};
use crate::connection::{Attended, WaitingPlace};

type AdminAnswer = Response<Attended<AdminBody>>;

/// The service of one connection from the address `peer`.
pub(super) fn service(
    admin: Admin,
    peer: IpAddr,
    place: &Arc<WaitingPlace>,
) -> impl Service<
    Request<Incoming>,
    Response = AdminAnswer,
    Error = Infallible,
    Future = Ready<Result<AdminAnswer, Infallible>>,
> {
    let (trust, place) = (Cell::new(None), place.clone());
    service_fn(move |request: Request<Incoming>| {
        let asked = place.ask();
        // The target is one of the fixed paths and is never forwarded, so the result is not needed.
        place.begin(request.body());
        let (head, body) = request.into_parts();
        let mut trusted = trust.get();
        let refusal = admin.refuses(&head, peer, &mut trusted);
        trust.set(trusted);
        let answer = match refusal {
            Some(refusal) => refusal.map(AdminBody::Whole),
            None => admin.answer(&head),
        };
        let mut answer = answer.map(|body| Attended::answer(body, asked));
        // The request body is not read. If it is not empty, the connection must close.
        if !body.is_end_stream() {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        ready(Ok(answer))
    })
}

impl Admin {
    /// The response that refuses a request, or `None` if the request may read. `/livez` and `/readyz` are open to
    /// everyone.
    fn refuses(
        &self,
        head: &request::Parts,
        peer: IpAddr,
        trust: &mut ConnectionTrust,
    ) -> Option<Response<Full<Bytes>>> {
        if matches!(head.uri.path(), "/livez" | "/readyz") {
            return None;
        }
        match self.token.judge(&head.headers, peer, trust)? {
            Verdict::Right => None,
            Verdict::Missing => {
                self.refusals.missing.inc();
                Some(unauthorized())
            }
            Verdict::Wrong { is_first } => {
                self.refusals.wrong.inc();
                if is_first {
                    tracing::warn!(%peer, "a request to the admin address sent a wrong token");
                }
                Some(unauthorized())
            }
            Verdict::TooMany { wait } => {
                self.refusals.limited.inc();
                Some(too_many(wait))
            }
        }
    }
}

/// The response to a request without the right token.
fn unauthorized() -> Response<Full<Bytes>> {
    let mut refusal = text(
        StatusCode::UNAUTHORIZED,
        "Send the token of admin.token_file, as a Bearer token or as the password of Basic authentication.\n",
    );
    for scheme in ["Basic realm=\"streamgauge\"", "Bearer"] {
        refusal.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    refusal
}

/// The response to an address that tried too many wrong tokens.
fn too_many(wait: Duration) -> Response<Full<Bytes>> {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let told = format!("Too many wrong tokens. Try again in {seconds} s.\n");
    let mut refusal = text(StatusCode::TOO_MANY_REQUESTS, told);
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        refusal.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    refusal
}

/// The whole response to a request head that hyper could not parse.
pub(super) fn head_refusal(status: u16, why: &hyper::Error) -> Vec<u8> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let told = format!("The request head cannot be read: {why}.\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{told}",
        told.len()
    )
    .into_bytes()
}
