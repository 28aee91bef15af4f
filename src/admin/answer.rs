//! Answers requests of one connection: who may not read is told so, and how often a token may be tried.

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
    response::text,
};
use crate::connection::{Attended, WaitingPlace};

type AdminAnswer = Response<Attended<Full<Bytes>>>;

/// Answers what one connection from this address asks.
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
        // Its target is a path of ours or it is none: nothing goes on with it.
        place.begin(request.body());
        let (head, body) = request.into_parts();
        let mut trusted = trust.get();
        let refusal = admin.refuses(&head, peer, &mut trusted);
        trust.set(trusted);
        let answer = refusal.unwrap_or_else(|| admin.answer(&head));
        let mut answer = answer.map(|body| Attended::answer(body, asked));
        // Nobody reads it, and what is not read of it ends the connection.
        if !body.is_end_stream() {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        ready(Ok(answer))
    })
}

impl Admin {
    /// What a request is told that may not read what it asks for; `None`: it may. `/livez` and `/readyz` are open to all.
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
                    tracing::warn!(%peer, "a wrong token was shown to the admin address");
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

/// Says how to be let in.
fn unauthorized() -> Response<Full<Bytes>> {
    let mut refusal = text(StatusCode::UNAUTHORIZED, "Show the token of admin.token_file.\n");
    for scheme in ["Basic realm=\"streamgauge\"", "Bearer"] {
        refusal.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    refusal
}

/// Says when a token is looked at again.
fn too_many(wait: Duration) -> Response<Full<Bytes>> {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let told = format!("Too many wrong tokens. Try again in {seconds} s.\n");
    let mut refusal = text(StatusCode::TOO_MANY_REQUESTS, told);
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        refusal.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    refusal
}

/// The whole response to a head that hyper could not read.
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
