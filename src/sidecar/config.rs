//! Settings of every stage.

use std::time::Duration;

use crate::{
    admin, admission, collector, meter, proxy, shaping,
    upstream::{self, queue},
};

/// Settings of every stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener towards clients.
    pub proxy: proxy::Config,
    /// The listener towards Prometheus and people.
    pub admin: admin::Config,
    /// The Ollamas.
    pub upstream: upstream::Config,
    /// The meter.
    pub meter: meter::Config,
    /// Who may ask for what, and how much.
    pub admission: admission::Config,
    /// The queue before the upstreams.
    pub queue: queue::Config,
    /// How streams are handed on.
    pub shaping: shaping::Config,
    /// How often what surrounds the streams is read.
    pub collectors: collector::Config,
    /// How long streams may take to end once the sidecar is told to stop.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            proxy: proxy::Config::default(),
            admin: admin::Config::default(),
            upstream: upstream::Config::default(),
            meter: meter::Config::default(),
            admission: admission::Config::default(),
            queue: queue::Config::default(),
            shaping: shaping::Config::default(),
            collectors: collector::Config::default(),
            drain_timeout: Duration::from_secs(30),
        }
    }
}
