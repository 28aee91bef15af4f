//! What lets a request in, and what is charged to it at its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::HeaderMap;

use super::{
    Access, Allowances, Limits, Quota, Refusal, caller,
    families::{Families, OTHER},
    rate::Limiter,
};
use crate::protocol::{Route, Usage};

/// One who is known, or all who are not.
#[derive(Debug)]
pub(super) struct Caller {
    name: String,
    label: String,
    /// A reload took it away; what it began may still run.
    is_gone: AtomicBool,
    requests: Option<Arc<Limiter>>,
    tokens: Option<Arc<Limiter>>,
    max_streams: Option<usize>,
    routes: Access,
    pace: Option<u32>,
}

impl Caller {
    /// `former`: the same one before a reload, whose limiters are kept where the quota is what it was.
    pub(super) fn new(
        name: &str,
        label: &str,
        limits: &Limits,
        routes: Access,
        pace: Option<u32>,
        former: Option<&Caller>,
    ) -> Caller {
        let limiter = |quota: Option<Quota>, former: Option<&Arc<Limiter>>| {
            let quota = quota?;
            let kept = former.filter(|limiter| limiter.quota() == quota).cloned();
            Some(kept.unwrap_or_else(|| Arc::new(Limiter::new(quota))))
        };
        Caller {
            name: name.to_owned(),
            label: label.to_owned(),
            is_gone: AtomicBool::new(false),
            requests: limiter(limits.requests, former.and_then(|former| former.requests.as_ref())),
            tokens: limiter(limits.tokens, former.and_then(|former| former.tokens.as_ref())),
            max_streams: limits.max_streams,
            routes,
            pace,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn label(&self) -> &str {
        if self.is_gone.load(Relaxed) { OTHER } else { &self.label }
    }

    /// Nobody comes in as this one any more, and its label is free.
    pub(super) fn leave(&self) {
        self.is_gone.store(true, Relaxed);
    }

    pub(super) const fn allows(&self, route: Route) -> bool {
        self.routes.allows(route)
    }

    /// Takes a request, and the first of its tokens if it will take any; or takes nothing.
    pub(super) fn take(&self, route: Route) -> Result<(), Refusal> {
        let requests = self.requests.as_deref();
        let tokens = self.tokens.as_deref().filter(|_| route.takes_slot());
        // Who waits for both is told the longer wait, which is then true.
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
            // Another request was faster.
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

    fn allowances(&self) -> Allowances {
        let left = |limiter: &Option<Arc<Limiter>>| limiter.as_ref().map(|limiter| limiter.allowance());
        Allowances { requests: left(&self.requests), tokens: left(&self.tokens) }
    }
}

/// Lets one request in.
#[derive(Debug)]
pub struct Permit {
    caller: Arc<Caller>,
    is_known: bool,
    route: Route,
    families: Families,
    /// It counts against no quota.
    is_free: bool,
    /// `admission_total` has it.
    is_counted: AtomicBool,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge<'a> {
    /// The value of the label `outcome`.
    pub outcome: &'a str,
    /// What the upstream told of its cost.
    pub usage: Usage,
    /// Content records that it carried: charged where the upstream told nothing.
    pub content_records: u64,
    /// Tokens of the prompt, estimated: charged where the upstream did not tell them, and counted nowhere.
    pub prompt_estimate: u64,
    /// Tokens of the model's context, if they are known.
    pub context: Option<u64>,
    /// How long the request took.
    pub duration: Duration,
}

/// No prompt is charged more tokens than this where the context of the model is not known.
const LONGEST_PROMPT: u64 = 256 << 10;
/// No answer is charged more tokens a second than this, which no stream of any hardware makes.
const FASTEST: u64 = 10_000;

impl Charge<'_> {
    /// The tokens that are charged. No single count can lock a caller out for long, whatever an upstream tells.
    fn tokens(&self) -> u64 {
        let Charge { usage, content_records, .. } = *self;
        let prompt = usage.prompt_tokens.unwrap_or(self.prompt_estimate);
        let prompt = prompt.saturating_sub(usage.prompt_cached_tokens.unwrap_or(0));
        let told = usage.prompt_tokens.is_some() || usage.output_tokens.is_some();
        let output =
            usage.output_tokens.unwrap_or(if told && content_records < 2 { 0 } else { content_records });
        let possible = FASTEST.saturating_mul(self.duration.as_secs().saturating_add(1)).max(content_records);
        prompt.min(self.context.unwrap_or(LONGEST_PROMPT)).saturating_add(output.min(possible))
    }
}

impl Permit {
    pub(super) fn new(caller: Arc<Caller>, is_known: bool, route: Route, families: Families) -> Permit {
        Permit { caller, is_known, route, families, is_free: false, is_counted: AtomicBool::new(false) }
    }

    /// The same, against no quota.
    pub(super) fn free(mut self) -> Permit {
        self.is_free = true;
        self
    }

    /// The value of the label `caller`.
    #[must_use]
    pub(crate) fn label(&self) -> &str {
        self.caller.label()
    }

    /// Who asks, for a queue that is fair between callers.
    #[must_use]
    pub(crate) fn caller(&self) -> &str {
        &self.caller.name
    }

    /// Streams that this caller may have at once.
    #[must_use]
    pub(crate) fn max_streams(&self) -> Option<usize> {
        self.caller.max_streams
    }

    /// Tokens a second of each of this caller's streams.
    #[must_use]
    pub(crate) fn pace(&self) -> Option<u32> {
        self.caller.pace
    }

    /// What is left of the caller's quotas now; nothing of a request that counts against none.
    #[must_use]
    pub(crate) fn allowances(&self) -> Allowances {
        if self.is_free { Allowances::default() } else { self.caller.allowances() }
    }

    /// Takes a key of ours out of a request that goes on; one that is not stays.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        if self.is_known {
            caller::strip(headers);
        }
    }

    /// The request has its place at an upstream, or needs none. It counts as admitted once, however many upstreams are
    /// tried.
    pub(crate) fn enter(&self) {
        if !self.is_counted.swap(true, Relaxed) {
            self.families.admitted.inc();
        }
    }

    /// The queue turned the request away. It keeps its place among the caller's requests, so that asking a
    /// full queue again and again is not free. A request that was admitted at another upstream stays counted as that.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        if !self.is_counted.swap(true, Relaxed) {
            self.families.refused(refusal.reason());
        }
    }

    /// The request has ended: counts it, and charges its tokens.
    pub(crate) fn charge(&self, charge: &Charge<'_>) {
        self.families.ended(self.label(), charge.outcome, &charge.usage);
        if let Some(limiter) = self.caller.tokens.as_ref().filter(|_| self.route.takes_slot()) {
            let tokens = charge.tokens();
            // The first was taken when it was let in.
            match tokens.checked_sub(1) {
                Some(rest) => limiter.charge(rest),
                None => limiter.refund(),
            }
        }
    }
}
