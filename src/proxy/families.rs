//! The metrics of the proxy itself: malformed requests.

use prometheus::{IntCounter, Registry};

use super::{
    headers::{self, Malformed},
    upload::Unread,
};
use crate::metric::{Family, int_counter};

/// `requests_malformed_total`, by reason.
#[derive(Clone, Debug)]
pub(super) struct Families {
    malformed: Family<IntCounter, 1>,
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
        Ok(Families { malformed })
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
