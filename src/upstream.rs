//! The Ollamas behind: who they are, how they fare, which one takes a request.

use std::time::Duration;

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Ollamas; at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// How one is chosen.
    pub choose: Policy,
    /// The name of the one that manages models; default: the first.
    pub primary: Option<String>,
    /// Between two health probes.
    pub health_interval: Duration,
    /// To an established connection.
    pub connect_timeout: Duration,
    /// From the request sent to the response's head; zero: no limit.
    pub response_timeout: Duration,
    /// Between two chunks of a response; zero: no limit.
    pub silence_timeout: Duration,
}

/// One Ollama.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The value of the label `upstream`.
    pub name: String,
    /// `http://host:port`, no path.
    pub url: url::Url,
}

/// How an upstream is chosen among the healthy ones that have the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastBusy,
    /// Where the model is loaded, else the least busy.
    #[default]
    ModelAware,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            upstreams: vec![UpstreamConfig {
                name: "upstream0".to_owned(),
                url: url::Url::parse("http://127.0.0.1:11434").expect("a constant"),
            }],
            choose: Policy::default(),
            primary: None,
            health_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::ZERO,
            silence_timeout: Duration::ZERO,
        }
    }
}
