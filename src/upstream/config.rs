//! Settings of the upstreams.

use std::time::Duration;

use crate::{protocol::CLOUD, scheduler::FIRST_LIMIT, tls::Trust};

/// Names that no upstream may have, since the label `upstream` uses them for something else.
pub(crate) const RESERVED: [&str; 2] = [CLOUD, "none"];

/// The settings of the upstreams.
#[derive(Clone, Debug)]
pub struct Config {
    /// The upstreams, at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// The policy that chooses among them.
    pub choose: Policy,
    /// The name of the upstream that manages models and answers requests about the account. Default: the first.
    pub primary: Option<String>,
    /// The interval of the health probes.
    pub health_interval: Duration,
    /// The time limit to establish a connection.
    pub connect_timeout: Duration,
    /// The time limit from the request to the head of the response. Ollama sends the head with the first record,
    /// after it has generated a whole tool call or a whole response that is not a stream. Zero: no limit.
    pub response_timeout: Duration,
    /// The time limit between two chunks of a response, also before a tool call that follows text. Zero: no limit.
    pub silence_timeout: Duration,
}

/// The settings of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The value of the label `upstream`.
    pub name: String,
    /// `http://host:port` or `https://host:port`, without a path.
    pub url: url::Url,
    /// The verification of an `https` upstream. `None`: the system's certificate authorities.
    pub tls: Option<Trust>,
    /// The most concurrent streams. Further requests wait in the queue. `None`: no limit.
    pub max_streams: Option<StreamLimit>,
    /// The share of requests relative to the other upstreams, at least 1.
    pub weight: usize,
}

/// The most concurrent streams of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamLimit {
    /// This many.
    Fixed(usize),
    /// As many as its Ollama can do, found from its streams.
    Auto {
        /// The fewest tokens per second of a stream. `None`: no minimum. If one stream alone is slower, the limit is 1.
        min_tokens_per_second: Option<u32>,
    },
}

impl StreamLimit {
    /// The limit before any stream has ended.
    pub(crate) const fn first(self) -> usize {
        match self {
            StreamLimit::Fixed(limit) => limit,
            StreamLimit::Auto { .. } => FIRST_LIMIT,
        }
    }
}

impl UpstreamConfig {
    /// An upstream without a limit of streams, with weight 1.
    #[must_use]
    pub fn new(name: impl Into<String>, url: url::Url) -> UpstreamConfig {
        UpstreamConfig { name: name.into(), url, tls: None, max_streams: None, weight: 1 }
    }
}

/// The policy that chooses among the healthy upstreams that have the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The upstreams take turns.
    RoundRobin,
    /// The upstream with the fewest requests in flight relative to its weight.
    LeastBusy,
    /// The one with the soonest expected first token, by measured load time, prefill rate and wait. Of equals the least
    /// busy.
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
