//! What all requests share.

use std::sync::Arc;

use super::{
    config::Config,
    families::Families,
    upload::{Budget, Lent},
};
use crate::{
    admission::Admission,
    meter::Meter,
    shaping::Shaping,
    tls::Acceptor,
    upstream::{self, Upstreams, queue::Queue},
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
    pub(crate) queue: Queue,
    pub(crate) meter: Meter,
    pub(crate) shaping: Arc<Shaping>,
}
