//! The parts that all requests share.

use std::sync::Arc;

use super::{
    config::Config,
    families::Families,
    upload::{Budget, Lent},
};
use crate::{
    admission::Admission,
    meter::Meter,
    recording::Recorder,
    request_log::RequestLog,
    scheduler::Scheduler,
    shaping::Shaping,
    tls::Acceptor,
    traces::Traces,
    upstream::{self, Upstreams},
};

/// Forwards requests and measures them.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(super) config: Config,
    pub(super) acceptor: Acceptor,
    pub(super) upstream: upstream::Config,
    pub(super) client: upstream::Client<Lent>,
    pub(super) stages: Stages,
    pub(super) budget: Arc<Budget>,
    pub(super) families: Families,
}

/// The stages that a request passes. All workers share them.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    pub(crate) admission: Arc<Admission>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) scheduler: Scheduler,
    pub(crate) meter: Meter,
    pub(crate) shaping: Arc<Shaping>,
    pub(crate) request_log: RequestLog,
    /// `None`: no request is traced.
    pub(crate) traces: Option<Arc<Traces>>,
    pub(crate) recorder: Recorder,
}
