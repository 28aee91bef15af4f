//! The admin listener: `/metrics`, `/livez`, `/readyz`, `/streams`, `/requests`, `/recording`, `/overview` and the page at
//! `/`. Prometheus, orchestrators and people read it.

mod answer;
mod attempts;
mod coding;
mod format;
mod history;
mod listen;
mod loads;
mod overview;
mod page;
mod protobuf;
mod recording;
mod requests;
mod response;
mod sources;
mod streams;
mod token;
mod totals;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request};
use http_body_util::Full;
use prometheus::{TEXT_FORMAT, TextEncoder};

pub(crate) use history::History;
pub(crate) use listen::{AdminCounts, AdminListener};
pub(crate) use sources::{Admin, ClientAddress, Refusals, Scraped};
pub(crate) use streams::Queue;
pub(crate) use token::AskedToken;
pub use token::Token;

use crate::{
    metric::{Exemplars, OPENMETRICS_FORMAT, openmetrics},
    tls::Identity,
};
use format::ScrapeFormat;
use protobuf::{PROTOBUF_FORMAT, protobuf};
use recording::AdminBody;
use response::{json, of_type, text};

/// Settings of the admin listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address for Prometheus and people. Port 0 binds a free port.
    pub listen: SocketAddr,
    /// The server certificate. `None`: the listener speaks plain HTTP.
    pub tls: Option<Identity>,
    /// The token that a request must send. `None`: no token is required. `/livez` and `/readyz` never require it.
    pub token: Option<Token>,
    /// Whether `/metrics` answers in OpenMetrics, with exemplars, to a scraper that asks for it.
    pub openmetrics: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            tls: None,
            token: None,
            openmetrics: false,
        }
    }
}

impl Admin {
    fn answer(&self, request: &request::Parts) -> Response<AdminBody> {
        if request.uri.path() == "/recording" && request.method == Method::GET {
            return self.recording(request);
        }
        self.whole(request).map(AdminBody::Whole)
    }

    /// Answers a request whose response is known at once.
    fn whole(&self, request: &request::Parts) -> Response<Full<Bytes>> {
        let method = &request.method;
        let answer: fn(&Admin, &request::Parts) -> Response<Full<Bytes>> = match request.uri.path() {
            "/" => |_, _| page(),
            "/metrics" => |admin, request| admin.metrics(&request.headers),
            "/livez" => |_, _| text(StatusCode::OK, "alive\n"),
            "/readyz" => |admin, _| admin.ready(),
            "/streams" => {
                |admin, _| json(streams::render(&admin.meter.live(), &admin.queue.places(), &admin.upstreams))
            }
            "/requests" => |admin, _| json(requests::render(&admin.meter)),
            // A GET has been answered. The other methods are refused, and HEAD gets the fields of a response without a body.
            "/recording" => |_, _| of_type(StatusCode::OK, recording::LINES, Bytes::new()),
            "/overview" => {
                |admin, request| json(overview::render(admin, request.uri.query().unwrap_or_default()))
            }
            _ => {
                let known = "Known paths: /, /metrics, /livez, /readyz, /streams, /requests, /recording and /overview.\n";
                return text(StatusCode::NOT_FOUND, known);
            }
        };
        if *method != Method::GET && *method != Method::HEAD {
            let mut refusal =
                text(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed. Send GET or HEAD.\n");
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        // hyper omits the body of a response to HEAD and keeps its Content-Length.
        answer(self, request)
    }

    fn metrics(&self, fields: &HeaderMap) -> Response<Full<Bytes>> {
        self.scraped.now();
        let format = ScrapeFormat::of(fields, self.openmetrics, self.meter.has_native_histograms());
        let families = self.registry.gather();
        let (kind, exposition) = match format {
            ScrapeFormat::OpenMetrics => {
                (OPENMETRICS_FORMAT, Ok(openmetrics(&families, &self.meter.exemplars()).into_bytes()))
            }
            ScrapeFormat::Text => {
                (TEXT_FORMAT, TextEncoder::new().encode_to_string(&families).map(String::into_bytes))
            }
            ScrapeFormat::Protobuf => {
                let exemplars = if self.openmetrics { self.meter.exemplars() } else { Exemplars::default() };
                (PROTOBUF_FORMAT, Ok(protobuf(&families, &self.meter.native_histograms(), &exemplars)))
            }
        };
        let exposition = match exposition {
            Ok(exposition) => exposition,
            Err(error) => {
                tracing::error!(%error, "failed to write the metrics");
                return text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("cannot write the metrics: {error}\n"),
                );
            }
        };
        let mut response = if coding::takes_gzip(fields) {
            let mut response = of_type(StatusCode::OK, kind, coding::gzip(&exposition));
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        } else {
            of_type(StatusCode::OK, kind, exposition)
        };
        // Without `Vary`, a cache could give the response to a client that did not accept its coding or its format.
        let vary = if self.openmetrics || self.meter.has_native_histograms() {
            "accept, accept-encoding"
        } else {
            "accept-encoding"
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static(vary));
        response
    }

    /// Ready while at least one upstream answers its probes and the sidecar is not draining.
    fn ready(&self) -> Response<Full<Bytes>> {
        if self.draining.is_cancelled() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        if let Some(why) = self.store.as_ref().and_then(|store| store.missing_keys()) {
            // It would refuse every caller that has its key there.
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the keys of the store were never read: {why}\n"),
            );
        }
        let all = self.upstreams.all();
        if all.iter().any(|upstream| upstream.health().alive) {
            let shared = self.store.as_ref().map(|store| store.status());
            let reason = shared.and_then(|shared| Some((shared.mode, shared.why?)));
            // Without their store, the limits have a fallback, so that the sidecar is ready.
            return text(
                StatusCode::OK,
                match reason {
                    Some((mode, why)) => {
                        format!("ready; shared limits are not in force, {mode} limits are: {why}\n")
                    }
                    None => "ready\n".to_owned(),
                },
            );
        }
        let told = all.iter().map(|upstream| match &upstream.health().why {
            Some(why) => format!("{} ({why})", upstream.name()),
            None => upstream.name().to_owned(),
        });
        let told: Vec<_> = told.collect();
        text(StatusCode::SERVICE_UNAVAILABLE, format!("no upstream answers: {}\n", told.join(", ")))
    }
}

fn page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(page::PAGE));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response.headers_mut().extend(page::fields());
    response
}
