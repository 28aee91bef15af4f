//! Settings of traces.

use std::time::Duration;

use http::HeaderMap;
use url::Url;

use crate::tls::Trust;

/// Settings of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The URL to which spans are posted, as `http://localhost:4318/v1/traces`.
    pub endpoint: Url,
    /// The verification of an `https` endpoint.
    pub trust: Option<Trust>,
    /// Fields of each request to the endpoint. Mark secrets as sensitive, so that they are never printed.
    pub headers: HeaderMap,
    /// The attributes of the resource, with `service.name`.
    pub attributes: Vec<(String, String)>,
    /// The share of the requests without a parent that are sampled, from 0 to 1. The others follow their parent.
    pub sample_ratio: f64,
    /// The longest time that a span waits for others before it is sent.
    pub interval: Duration,
    /// The longest time of one request to the endpoint.
    pub timeout: Duration,
    /// The most spans that wait. Others are dropped.
    pub queue: usize,
}

impl Config {
    /// Default settings.
    #[must_use]
    pub fn new(endpoint: Url) -> Config {
        Config {
            endpoint,
            trust: None,
            headers: HeaderMap::new(),
            attributes: vec![("service.name".to_owned(), "streamgauge".to_owned())],
            sample_ratio: 0.01,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            queue: 2048,
        }
    }
}
