//! The part of shared limits that one sidecar applies while their store does not answer.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Limits, Quota, buckets::Buckets};
use crate::store::{Rate, Shares};

/// The limits of a caller divided by the number of sidecars.
#[derive(Debug)]
pub(super) struct LocalShare {
    limits: Limits,
    /// They stay, so that neither a repeated outage nor another number of sidecars fills them.
    buckets: Mutex<Buckets>,
}

impl LocalShare {
    /// `former` is the share before a reload, whose state goes on.
    pub(super) fn new(limits: Limits, former: Option<&LocalShare>) -> LocalShare {
        let buckets = former.map(|former| former.held().clone()).unwrap_or_default();
        LocalShare { limits, buckets: Mutex::new(buckets) }
    }

    /// The whole limits.
    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The buckets of one of `sidecars` sidecars. Another number than before changes their size, and not the part of
    /// them that is used up.
    pub(super) fn of(&self, sidecars: u32) -> Buckets {
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
        // A share below one request admits one, which takes longer to come back than a burst of all sidecars.
        let longest = self.limits.requests.map(|quota| quota.all());
        let mut held = self.held();
        *held = held.following(&limits, longest);
        held.clone()
    }

    fn held(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
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

    const MINUTE: Duration = Duration::from_secs(60);

    /// Limits of 8 a minute.
    fn limits() -> Limits {
        let quota = Quota::new(NonZeroU32::new(8).unwrap(), MINUTE);
        Limits { requests: Some(quota), tokens: Some(quota), ..Limits::default() }
    }

    /// The requests of 20 that one of so many sidecars admits.
    fn admitted(share: &LocalShare, sidecars: u32) -> usize {
        (0..20).filter(|_| share.of(sidecars).take(Route::Version).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn share_of_a_sidecar_is_the_quota_divided_by_their_number() {
        let share = LocalShare::new(limits(), None);
        assert_eq!((admitted(&share, 4), admitted(&share, 4)), (2, 0));
        tokio::time::advance(MINUTE).await;
        assert_eq!(admitted(&share, 4), 2, "2 of 8 a minute");
        assert_eq!(admitted(&LocalShare::new(limits(), None), 100), 1, "never less than one");
    }

    #[tokio::test(start_paused = true)]
    async fn share_is_not_filled_again_when_the_number_of_sidecars_changes() {
        let share = LocalShare::new(limits(), None);
        assert_eq!(admitted(&share, 4), 2);
        let changed: Vec<_> =
            [2, 4, 3, 1, 100].into_iter().map(|sidecars| admitted(&share, sidecars)).collect();
        assert_eq!(changed, [0; 5], "it is used up");
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(admitted(&share, 2), 2, "half of 4 came back");
        tokio::time::advance(MINUTE).await;
        assert_eq!(admitted(&share, 1), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_a_share_below_one_admits_blocks_no_larger_share_for_longer_than_its_period() {
        let share = LocalShare::new(limits(), None);
        assert_eq!(admitted(&share, 100), 1);
        assert_eq!(admitted(&share, 1), 0);
        tokio::time::advance(MINUTE).await;
        assert_eq!(admitted(&share, 1), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn share_is_not_filled_again_by_a_reload() {
        let share = LocalShare::new(limits(), None);
        assert_eq!(admitted(&share, 1), 8);
        assert_eq!(admitted(&LocalShare::new(limits(), Some(&share)), 1), 0);
        let more = Quota::new(NonZeroU32::new(80).unwrap(), MINUTE);
        let more = Limits { requests: Some(more), ..limits() };
        assert_eq!(admitted(&LocalShare::new(more, Some(&share)), 1), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_of_a_request_from_before_the_change_are_owed_after_it() {
        let share = LocalShare::new(limits(), None);
        let before = share.of(4);
        before.take(Route::Chat).unwrap();
        let after = share.of(2);
        before.charge(100);
        assert!(after.take(Route::Chat).is_err());
        assert!(share.of(2).take(Route::Chat).is_err());
        // 100 tokens of a share of 2 a minute.
        tokio::time::advance(MINUTE * 50).await;
        assert!(share.of(2).take(Route::Chat).is_ok());
    }
}
