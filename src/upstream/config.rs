//! Settings of the upstreams.

use std::time::Duration;

use crate::{protocol::CLOUD, tls::Trust};

/// Names that no upstream may have: the label `upstream` says something else with them.
pub(crate) const RESERVED: [&str; 2] = [CLOUD, "none"];

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Ollamas; at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// How one is chosen.
    pub choose: Policy,
    /// The name of the one that manages models and answers requests of the account; default: the first.
    pub primary: Option<String>,
    /// Between two health probes.
    pub health_interval: Duration,
    /// To an established connection.
    pub connect_timeout: Duration,
    /// From the request sent to the response's head, which Ollama sends with the first record: a tool call, or a
    /// response that is no stream, is generated before it. Zero: no limit.
    pub response_timeout: Duration,
    /// Between two chunks of a response, a tool call behind text too; zero: no limit.
    pub silence_timeout: Duration,
}

/// One Ollama.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The value of the label `upstream`.
    pub name: String,
    /// `http://host:port` or `https://host:port`, no path.
    pub url: url::Url,
    /// How one of `https` is verified. `None`: by the authorities of the system.
    pub tls: Option<Trust>,
    /// Streams at once; more wait in the queue. `None`: no bound.
    pub max_streams: Option<usize>,
    /// Its share of requests beside the others; at least 1.
    pub weight: usize,
}

impl UpstreamConfig {
    /// One without a bound, and of weight 1.
    #[must_use]
    pub fn new(name: impl Into<String>, url: url::Url) -> UpstreamConfig {
        UpstreamConfig { name: name.into(), url, tls: None, max_streams: None, weight: 1 }
    }
}

/// How an upstream is chosen among the healthy ones that have the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn.
    RoundRobin,
    /// The one with the fewest requests in flight, by its weight.
    LeastBusy,
    /// Where the model is loaded, else the least busy.
    #[default]
    ModelAware,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            upstreams: vec![UpstreamConfig::new(
                "upstream0",
                url::Url::parse("http://127.0.0.1:11434").expect("a constant"),
            )],
            choose: Policy::default(),
            primary: None,
            health_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::ZERO,
            silence_timeout: Duration::ZERO,
        }
    }
}
