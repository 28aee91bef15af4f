//! `/metrics`, `/livez`, `/readyz`, `/streams`: read by Prometheus, by orchestrators and by people.

mod listen;
mod streams;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio_util::sync::CancellationToken;

pub(crate) use listen::Listener;

use crate::{meter::Meter, upstream::Upstreams};

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Prometheus and people connect; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Config {
        Config { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}

/// What can be asked. It only reads.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) registry: Registry,
    pub(crate) meter: Meter,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) draining: CancellationToken,
}

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let answer: fn(&Admin) -> Response<Full<Bytes>> = match path {
            "/metrics" => Admin::metrics,
            "/livez" => |_| text(StatusCode::OK, "alive\n"),
            "/readyz" => Admin::ready,
            "/streams" => |admin| json(streams::render(&admin.meter.live())),
            _ => return text(StatusCode::NOT_FOUND, "There are /metrics, /livez, /readyz and /streams.\n"),
        };
        if *method != Method::GET && *method != Method::HEAD {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        // hyper leaves the body of an answer to HEAD out, and tells its length.
        answer(self)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(exposition) => of_type(StatusCode::OK, TEXT_FORMAT, exposition),
            Err(error) => {
                tracing::error!(%error, "cannot write the metrics");
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the metrics: {error}\n"))
            }
        }
    }

    /// Ready while there is an upstream that answers, and nobody has told us to end.
    fn ready(&self) -> Response<Full<Bytes>> {
        if self.draining.is_cancelled() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        let all = self.upstreams.all();
        if all.iter().any(|upstream| upstream.health().alive) {
            return text(StatusCode::OK, "ready\n");
        }
        let names: Vec<_> = all.iter().map(|upstream| upstream.name()).collect();
        text(StatusCode::SERVICE_UNAVAILABLE, format!("no upstream answers: {}\n", names.join(", ")))
    }
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Full<Bytes>> {
    of_type(status, "text/plain; charset=utf-8", text.into())
}

fn json(text: String) -> Response<Full<Bytes>> {
    of_type(StatusCode::OK, "application/json", text)
}

fn of_type(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
