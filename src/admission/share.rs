//! The part of shared limits that one sidecar applies while their store does not answer.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use super::{Limits, Quota, buckets::Buckets};
use crate::store::{Rate, Shares};

/// The limits of a caller divided by the number of sidecars.
#[derive(Debug)]
pub(super) struct LocalShare {
    limits: Limits,
    /// The buckets for this number of sidecars. They stay, so that repeated outages do not fill them.
    buckets: Mutex<Option<(u32, Buckets)>>,
}

impl LocalShare {
    pub(super) fn new(limits: Limits) -> LocalShare {
        LocalShare { limits, buckets: Mutex::default() }
    }

    /// The whole limits.
    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The buckets of one of `sidecars` sidecars.
    pub(super) fn of(&self, sidecars: u32) -> Buckets {
        let mut held = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, buckets)) = held.as_ref().filter(|(known, _)| *known == sidecars) {
            return buckets.clone();
        }
        let divided = |quota: Option<Quota>| {
            let quota = quota?;
            let burst = NonZeroU32::new(quota.burst.get() / sidecars.max(1)).unwrap_or(NonZeroU32::MIN);
            Some(Quota { per: quota.per.saturating_mul(sidecars.max(1)), burst, ..quota })
        };
        let limits = Limits {
            requests: divided(self.limits.requests),
            tokens: divided(self.limits.tokens),
            ..self.limits
        };
        let buckets = Buckets::new(&limits, None);
        *held = Some((sidecars, buckets.clone()));
        buckets
    }
}

impl Limits {
    /// The limits that sidecars share.
    pub(super) fn shares(&self) -> Shares {
        let rate = |quota: Option<Quota>| {
            let Quota { count, per, burst } = quota?;
            let per = u64::try_from(per.as_micros()).unwrap_or(u64::MAX);
            Some(Rate { count: count.get(), per, burst: burst.get() })
        };
        Shares { requests: rate(self.requests), tokens: rate(self.tokens), max_streams: self.max_streams }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::Route;

    #[tokio::test(start_paused = true)]
    async fn share_of_a_sidecar_is_the_quota_divided_by_their_number() {
        let quota = Quota::new(NonZeroU32::new(8).unwrap(), Duration::from_secs(60));
        let share = LocalShare::new(Limits { requests: Some(quota), ..Limits::default() });
        let admitted =
            |sidecars: u32| (0..20).filter(|_| share.of(sidecars).take(Route::Chat).is_ok()).count();
        assert_eq!((admitted(4), admitted(4)), (2, 0));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(admitted(4), 2, "2 of 8 a minute");
        assert_eq!(admitted(100), 1, "never less than one");
    }
}
