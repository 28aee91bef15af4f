//! The rates of one caller.

use std::{sync::Arc, time::Duration};

use super::{Allowances, Limits, Quota, Refusal, rate::Limiter};
use crate::protocol::Route;

/// The limiters of one caller's requests and tokens; `None`: no limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    requests: Option<Arc<Limiter>>,
    tokens: Option<Arc<Limiter>>,
}

impl Buckets {
    /// `former` are the buckets before a reload. They are kept if the quota is unchanged.
    pub(super) fn new(limits: &Limits, former: Option<&Buckets>) -> Buckets {
        let limiter = |quota: Option<Quota>, former: Option<&Arc<Limiter>>| {
            let quota = quota?;
            let kept = former.filter(|limiter| limiter.quota() == quota).cloned();
            Some(kept.unwrap_or_else(|| Arc::new(Limiter::new(quota))))
        };
        Buckets {
            requests: limiter(limits.requests, former.and_then(|former| former.requests.as_ref())),
            tokens: limiter(limits.tokens, former.and_then(|former| former.tokens.as_ref())),
        }
    }

    /// The buckets with other quotas. As much of each is used up, and its debt ends at the same time. `longest` is the
    /// longest time for which requests that were admitted may stay taken.
    pub(super) fn following(&self, limits: &Limits, longest: Option<Duration>) -> Buckets {
        let limiter = |quota: Option<Quota>, former: Option<&Arc<Limiter>>| {
            let quota = quota?;
            Some(match former {
                Some(former) if former.quota() == quota => former.clone(),
                Some(former) => Arc::new(Limiter::following(quota, former)),
                None => Arc::new(Limiter::new(quota)),
            })
        };
        let requests = limiter(limits.requests, self.requests.as_ref());
        if let (Some(requests), Some(longest)) = (&requests, longest) {
            requests.shorten(longest);
        }
        Buckets { requests, tokens: limiter(limits.tokens, self.tokens.as_ref()) }
    }

    /// The limits in force, by the label `kind`.
    pub(super) fn quotas(&self) -> impl Iterator<Item = (&'static str, Quota)> {
        let kinds = [("requests", &self.requests), ("tokens", &self.tokens)];
        kinds.into_iter().filter_map(|(kind, limiter)| Some((kind, limiter.as_ref()?.quota())))
    }

    /// Takes one request and, if the route generates, its first token from the quotas; or takes nothing.
    pub(super) fn take(&self, route: Route) -> Result<(), Refusal> {
        let requests = self.requests.as_deref();
        let tokens = self.tokens.as_deref().filter(|_| route.takes_slot());
        // If both limits are exceeded, report the longer wait, so that the client does not come back too early.
        let wait = |limiter: Option<&Limiter>| limiter.map_or(Duration::ZERO, Limiter::wait);
        let (for_requests, for_tokens) = (wait(requests), wait(tokens));
        if for_tokens > for_requests {
            return Err(self.too_many_tokens(for_tokens));
        }
        if !for_requests.is_zero() {
            return Err(self.too_many_requests(for_requests));
        }
        if let Some(Err(wait)) = requests.map(Limiter::take) {
            return Err(self.too_many_requests(wait));
        }
        if let Some(Err(wait)) = tokens.map(Limiter::take) {
            // A concurrent request took the last token.
            if let Some(limiter) = requests {
                limiter.refund();
            }
            return Err(self.too_many_tokens(wait));
        }
        Ok(())
    }

    fn too_many_requests(&self, wait: Duration) -> Refusal {
        Refusal::Requests { wait, allowances: self.allowances() }
    }

    fn too_many_tokens(&self, wait: Duration) -> Refusal {
        Refusal::Tokens { wait, allowances: self.allowances() }
    }

    pub(super) fn allowances(&self) -> Allowances {
        let left = |limiter: &Option<Arc<Limiter>>| limiter.as_ref().map(|limiter| limiter.allowance());
        Allowances { requests: left(&self.requests), tokens: left(&self.tokens) }
    }

    /// Charges the tokens of a request, of which its admission took one.
    pub(super) fn charge(&self, tokens: u64) {
        let Some(limiter) = &self.tokens else { return };
        match tokens.checked_sub(1) {
            Some(rest) => limiter.charge(rest),
            None => limiter.refund(),
        }
    }
}
