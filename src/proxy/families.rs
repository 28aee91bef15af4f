//! The metrics of the proxy itself: malformed requests, requests that another upstream got, and responses that wait for their client.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, Registry};

use super::{
    headers::{self, Malformed},
    upload::Unread,
};
use crate::{
    metric::{Family, gauge, int_counter},
    upstream::Upstreams,
};

/// `requests_malformed_total`, by reason, `upstream_retries_total`, and `response_read_ahead_bytes`.
#[derive(Clone, Debug)]
pub(super) struct Families {
    malformed: Family<IntCounter, 1>,
    retries: Family<IntCounter, 2>,
    dispatches: Family<IntCounter, 2>,
    pub(super) read_ahead: Arc<Gauge>,
}

/// Reasons that hyper finds before there is a request.
pub(super) const HEAD: &str = "head";
pub(super) const HEAD_TIMEOUT: &str = "head_timeout";
/// Reasons for a retry at another upstream.
pub(super) const UNREACHABLE: &str = "unreachable";
pub(super) const NO_MODEL: &str = "no_model";
/// Reasons why a request got its slot at an upstream: see docs/reference/metrics.md.
const DISPATCH_REASONS: [&str; 4] = ["queued", "only", "loaded", "not_loaded"];
const BODY_TIMEOUT: &str = "body_timeout";

impl Families {
    pub(super) fn register(registry: &Registry, upstreams: &Upstreams) -> prometheus::Result<Families> {
        let help = "Requests refused because their head or body was malformed or too slow, by reason.";
        let malformed =
            Family::register(registry, "requests_malformed_total", help, ["reason"], int_counter)?;
        let ours = Malformed::ALL.map(Malformed::reason);
        for reason in [HEAD, headers::HEAD_TOO_LARGE, HEAD_TIMEOUT, BODY_TIMEOUT].into_iter().chain(ours) {
            let _ = malformed.child([reason]);
        }
        let help =
            "Requests that another upstream got because this one could not be reached or lacked the model.";
        let labels = ["upstream", "reason"];
        let retries = Family::register(registry, "upstream_retries_total", help, labels, int_counter)?;
        let help = "Requests that got a slot at an upstream, by the reason for the choice.";
        let dispatches = Family::register(registry, "dispatches_total", help, labels, int_counter)?;
        for upstream in upstreams.all() {
            for reason in DISPATCH_REASONS {
                let _ = dispatches.child([upstream.name(), reason]);
            }
            for reason in [UNREACHABLE, NO_MODEL] {
                let _ = retries.child([upstream.name(), reason]);
            }
        }
        let read_ahead = Family::register(
            registry,
            "response_read_ahead_bytes",
            "Bytes of responses with a slot that were taken from upstreams and that slow clients have not read yet.",
            [],
            gauge,
        )?;
        Ok(Families { malformed, retries, dispatches, read_ahead: read_ahead.child([]) })
    }

    /// Counts a request that goes to another upstream than this one.
    pub(super) fn retries(&self, upstream: &str, reason: &'static str) {
        self.retries.child([upstream, reason]).inc();
    }

    /// Counts a request that got a slot at this upstream.
    pub(super) fn dispatched(&self, upstream: &str, reason: &'static str) {
        self.dispatches.child([upstream, reason]).inc();
    }

    pub(super) fn malformed(&self, reason: &'static str) {
        self.malformed.child([reason]).inc();
    }

    pub(super) fn unread(&self, why: Unread) {
        match why {
            Unread::Idle => self.malformed(BODY_TIMEOUT),
            Unread::Malformed => self.malformed(Malformed::Body.reason()),
            Unread::Gone => {}
        }
    }
}
