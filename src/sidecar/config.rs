//! Settings of every stage.

use std::time::Duration;

use crate::{
    admin, admission, collector, meter, proxy, recording, request_log, scheduler, shaping, store, traces,
    upstream,
};

/// The settings of the sidecar.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener for clients.
    pub proxy: proxy::Config,
    /// The listener for Prometheus and people.
    pub admin: admin::Config,
    /// The upstreams.
    pub upstream: upstream::Config,
    /// The meter.
    pub meter: meter::Config,
    /// Admission: keys, open routes and limits.
    pub admission: admission::Config,
    /// The store of limits that several sidecars share. `None`: each sidecar applies all limits alone.
    pub shared: Option<store::Config>,
    /// The queue before the upstreams.
    pub queue: scheduler::Config,
    /// The shaping of streams.
    pub shaping: shaping::Config,
    /// The log of finished requests.
    pub request_log: request_log::Config,
    /// The recording of live traffic, if [`Builder::recording`](super::Builder::recording) sets its sink.
    pub recording: recording::Config,
    /// The intervals of the collectors.
    pub collectors: collector::Config,
    /// The traces of requests. `None`: no request is traced.
    pub traces: Option<traces::Config>,
    /// How long running streams may continue after shutdown begins.
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
            shared: None,
            queue: scheduler::Config::default(),
            shaping: shaping::Config::default(),
            request_log: request_log::Config::default(),
            recording: recording::Config::default(),
            collectors: collector::Config::default(),
            traces: None,
            drain_timeout: Duration::from_secs(30),
        }
    }
}
