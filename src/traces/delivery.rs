//! Posts spans to the endpoint.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{InstrumentationScope, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;
use url::Url;

use super::{config::Config, span::key_value};
use crate::tls;

/// The longest answer of the endpoint that is read.
const LONGEST_ANSWER: usize = 64 << 10;
/// The longest wait that an endpoint may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The exporter of traces cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoExporter {
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client that exports traces: {0}")]
    Client(#[from] reqwest::Error),
    /// The registry already has a metric with one of the names.
    #[error("cannot register the metrics of traces")]
    Register(#[from] prometheus::Error),
}

/// Why the endpoint did not take spans.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    /// There was no answer in time.
    #[error("no response within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// There is no connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// The endpoint is overloaded, or something behind it failed.
    #[error("the endpoint answered {status}")]
    Busy { status: StatusCode, retry_after: Option<Duration> },
    /// The endpoint does not want such requests.
    #[error("the endpoint answered {0}: correct traces.endpoint or traces.headers_file")]
    Refused(StatusCode),
}

impl Undelivered {
    pub(super) const REASONS: [&str; 4] = ["timeout", "connection", "busy", "refused"];

    /// The value of the label `reason`.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Undelivered::Late(_) => Undelivered::REASONS[0],
            Undelivered::Unreachable(_) => Undelivered::REASONS[1],
            Undelivered::Busy { .. } => Undelivered::REASONS[2],
            Undelivered::Refused(_) => Undelivered::REASONS[3],
        }
    }

    /// How long the endpoint wants to be left alone.
    pub(super) const fn wanted_pause(&self) -> Option<Duration> {
        match self {
            Undelivered::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The endpoint, and what is the same in each request to it.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: reqwest::Client,
    url: Url,
    timeout: Duration,
    resource: Resource,
    scope: InstrumentationScope,
}

impl Endpoint {
    pub(super) fn new(config: &Config) -> Result<Endpoint, NoExporter> {
        let mut headers = config.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("streamgauge/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(config.timeout);
        let client = tls::prepare(builder, config.trust.as_ref()).build()?;
        let version = env!("CARGO_PKG_VERSION");
        let ours = [
            ("service.version", version),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.name", "streamgauge"),
        ];
        let ours = ours.into_iter().filter(|(key, _)| config.attributes.iter().all(|(set, _)| set != key));
        let set = config.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let attributes = set
            .chain(ours)
            .map(|(key, value)| key_value(key, Value::StringValue(value.to_owned())))
            .collect();
        Ok(Endpoint {
            client,
            url: config.endpoint.clone(),
            timeout: config.timeout,
            resource: Resource { attributes, ..Resource::default() },
            scope: InstrumentationScope {
                name: "streamgauge".to_owned(),
                version: version.to_owned(),
                ..InstrumentationScope::default()
            },
        })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The body of a request with these spans.
    pub(super) fn encode(&self, spans: Vec<Span>) -> Bytes {
        let scope_spans =
            vec![ScopeSpans { scope: Some(self.scope.clone()), spans, ..ScopeSpans::default() }];
        let resource = Some(self.resource.clone());
        let of_resource = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec().into()
    }

    /// Posts a body. Returns how many of its spans the endpoint rejected.
    pub(super) async fn post(&self, body: Bytes) -> Result<u64, Undelivered> {
        let response =
            self.client.post(self.url.clone()).body(body).send().await.map_err(|error| self.why(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(rejected(response).await);
        }
        // The statuses that OTLP allows to try again.
        let may_try_again = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        if !may_try_again {
            return Err(Undelivered::Refused(status));
        }
        let after = response.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = after.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        Err(Undelivered::Busy { status, retry_after })
    }

    fn why(&self, error: &reqwest::Error) -> Undelivered {
        if error.is_timeout() {
            return Undelivered::Late(self.timeout);
        }
        // The first cause, since the errors around it say only that a request was sent, and where.
        let mut cause: &dyn Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Undelivered::Unreachable(cause.to_string())
    }
}

/// The spans that the endpoint rejected. An answer that cannot be read rejects none.
async fn rejected(mut response: reqwest::Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return 0;
        }
        body.extend_from_slice(&chunk);
    }
    let partial = ExportTraceServiceResponse::decode(&*body).ok().and_then(|answer| answer.partial_success);
    partial.and_then(|partial| u64::try_from(partial.rejected_spans).ok()).unwrap_or(0)
}
