//! The metrics of the proxy itself: malformed requests, and responses that wait for their client.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, Registry};

use super::{
    headers::{self, Malformed},
    upload::Unread,
};
use crate::metric::{Family, gauge, int_counter};

/// `requests_malformed_total`, by reason, and `response_read_ahead_bytes`.
#[derive(Clone, Debug)]
pub(super) struct Families {
    malformed: Family<IntCounter, 1>,
    pub(super) read_ahead: Arc<Gauge>,
}

/// Reasons that hyper finds before there is a request.
pub(super) const HEAD: &str = "head";
pub(super) const HEAD_TIMEOUT: &str = "head_timeout";
const BODY_TIMEOUT: &str = "body_timeout";

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Families> {
        let help = "Requests refused because their head or body was malformed or too slow, by reason.";
        let malformed =
            Family::register(registry, "requests_malformed_total", help, ["reason"], int_counter)?;
        let ours = Malformed::ALL.map(Malformed::reason);
        for reason in [HEAD, headers::HEAD_TOO_LARGE, HEAD_TIMEOUT, BODY_TIMEOUT].into_iter().chain(ours) {
            let _ = malformed.child([reason]);
        }
        let read_ahead = Family::register(
            registry,
            "response_read_ahead_bytes",
            "Bytes of responses with a slot that were taken from upstreams and that slow clients have not read yet.",
            [],
            gauge,
        )?;
        Ok(Families { malformed, read_ahead: read_ahead.child([]) })
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
