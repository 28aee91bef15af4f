//! The permit of a request, and its charge at the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::HeaderMap;
use prometheus::Counter;

use super::{
    Access, Allowances, Limits, Models, Refusal,
    buckets::Buckets,
    caller,
    families::{Families, OTHER},
    models,
    share::LocalShare,
};
use crate::{
    protocol::{Route, Usage},
    scheduler::Terms,
    store::{Account, OnFailure, SharedEntry, Store},
};

/// A known caller, or all anonymous clients together.
#[derive(Debug)]
pub(super) struct Caller {
    name: String,
    label: Arc<str>,
    /// The caller of the key, if this one is a user that the key names.
    key: Option<Arc<Caller>>,
    /// A reload removed the caller, whose requests may still run, or the user has no label of its own.
    is_gone: AtomicBool,
    buckets: Buckets,
    /// Its limits while the store of shared limits does not answer.
    share: LocalShare,
    sharing: Sharing,
    terms: Terms,
    rights: Rights,
}

/// How the limits of a caller are shared with other sidecars. By default they are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharing {
    store: Option<Arc<Store>>,
    on_failure: Option<OnFailure>,
    account: Option<Arc<Account>>,
}

/// The rights of a caller.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    pub(super) routes: Access,
    pub(super) models: Option<Models>,
    pub(super) pace: Option<u32>,
    /// A header field of its requests may name a user.
    pub(super) names_users: bool,
}

impl Default for Rights {
    fn default() -> Rights {
        Rights { routes: Access::ALL, models: None, pace: None, names_users: false }
    }
}

impl Caller {
    /// `former` is the same caller before a reload. Its limiters are kept if the quota is unchanged.
    pub(super) fn new(
        name: &str,
        label: &str,
        limits: &Limits,
        rights: Rights,
        former: Option<&Caller>,
    ) -> Caller {
        Caller {
            name: name.to_owned(),
            label: label.into(),
            key: None,
            is_gone: AtomicBool::new(false),
            buckets: Buckets::new(limits, former.map(|former| &former.buckets)),
            share: LocalShare::new(*limits, former.map(|former| &former.share)),
            sharing: Sharing::default(),
            terms: Terms {
                max_streams: limits.max_streams,
                weight: limits.weight,
                priority: limits.priority,
            },
            rights,
        }
    }

    /// A user that `key` names. Each user has limits of its own, which are those of the key. `former` is the same user
    /// before a reload.
    pub(super) fn of_user(key: &Arc<Caller>, name: &str, former: Option<&Caller>) -> Caller {
        let Sharing { store, on_failure, .. } = &key.sharing;
        let caller = Caller::new(name, name, key.share.limits(), key.rights.clone(), former);
        Caller { key: Some(key.clone()), ..caller }.sharing(store.as_ref(), *on_failure)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key(&self) -> Option<&Arc<Caller>> {
        self.key.as_ref()
    }

    pub(super) fn names_users(&self) -> bool {
        self.rights.names_users
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Relaxed)
    }

    /// The label. Of a user without a label of its own, that of its key.
    pub(super) fn label(&self) -> &str {
        if self.is_gone() { self.key.as_ref().map_or(OTHER, |key| key.label()) } else { &self.label }
    }

    fn shared_label(&self) -> Arc<str> {
        match (self.is_gone(), &self.key) {
            (false, _) => self.label.clone(),
            (true, Some(key)) => key.shared_label(),
            (true, None) => OTHER.into(),
        }
    }

    /// The same caller, whose limits are shared in this store.
    pub(super) fn sharing(mut self, store: Option<&Arc<Store>>, on_failure: Option<OnFailure>) -> Caller {
        let shares = self.share.limits().shares();
        let account = store.filter(|_| !shares.is_empty());
        let account = account.map(|store| store.account(&self.name, shares, on_failure));
        self.sharing = Sharing { store: store.cloned(), on_failure, account };
        self
    }

    /// The account of its shared limits.
    pub(super) fn account(&self) -> Option<&Arc<Account>> {
        self.sharing.account.as_ref()
    }

    /// Its limits, if only this sidecar applies them.
    pub(super) const fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// Its limits while the store of shared limits does not answer.
    pub(super) const fn share(&self) -> &LocalShare {
        &self.share
    }

    /// Marks the caller as removed, so that its label is free.
    pub(super) fn leave(&self) {
        self.is_gone.store(true, Relaxed);
    }

    /// Gives the caller its label again.
    pub(super) fn come_back(&self) {
        self.is_gone.store(false, Relaxed);
    }

    pub(super) fn allows(&self, route: Route) -> bool {
        let is_judged = self.rights.models.is_none() || !models::is_unseen(route);
        self.rights.routes.allows(route) && is_judged
    }
}

/// The limits that admitted a request, to which its tokens are charged.
#[derive(Debug)]
pub(super) enum Taken {
    /// Limits of this sidecar alone. The entry counts the stream of a caller with shared limits.
    Here { buckets: Buckets, _entry: Option<SharedEntry> },
    /// The store of shared limits.
    Shared(SharedEntry),
}

/// Admits one request.
#[derive(Debug)]
pub struct Permit {
    caller: Arc<Caller>,
    is_known: bool,
    route: Route,
    families: Families,
    /// The limits that admitted the request.
    taken: Taken,
    /// The request counts against no quota.
    is_free: bool,
    /// `admission_total` has counted the request.
    is_counted: AtomicBool,
}

/// The cost of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge<'a> {
    /// The value of the label `outcome`.
    pub outcome: &'a str,
    /// The token counts that the upstream reported.
    pub usage: Usage,
    /// Content records of the response. They are charged if the upstream reported no tokens.
    pub content_records: u64,
    /// The estimated tokens of the prompt. They are charged if the upstream reported none, and no metric counts
    /// them.
    pub prompt_estimate: u64,
    /// The size of the model's context in tokens, if it is known.
    pub context: Option<u64>,
    /// The duration of the request.
    pub duration: Duration,
    /// The time to the first content of a stream, if it had any.
    pub first_token: Option<Duration>,
}

/// The most prompt tokens that a request is charged if the model's context is not known.
const LONGEST_PROMPT: u64 = 256 << 10;
/// The most tokens per second that a response is charged. No hardware generates a stream faster.
const FASTEST: u64 = 10_000;

impl Charge<'_> {
    /// The tokens to charge. The limits keep an absurd count of an upstream from locking a caller out for long.
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
    pub(super) fn new(
        caller: Arc<Caller>,
        is_known: bool,
        route: Route,
        families: Families,
        taken: Taken,
    ) -> Permit {
        Permit {
            caller,
            is_known,
            route,
            families,
            taken,
            is_free: false,
            is_counted: AtomicBool::new(false),
        }
    }

    /// The same permit, which counts against no quota.
    pub(super) fn free(mut self) -> Permit {
        self.is_free = true;
        self
    }

    /// The value of the label `caller`.
    #[must_use]
    pub(crate) fn label(&self) -> &str {
        self.caller.label()
    }

    /// The value of the label `caller`, without a copy of its text.
    #[must_use]
    pub(crate) fn shared_label(&self) -> Arc<str> {
        self.caller.shared_label()
    }

    /// The value of the label `caller` in metrics of settings: of a user, that of its key.
    #[must_use]
    pub(crate) fn key_label(&self) -> &str {
        self.caller.key().unwrap_or(&self.caller).label()
    }

    /// The counter of the time in which the caller's clients do not read what is there for them.
    #[must_use]
    pub(crate) fn client_wait(&self) -> Arc<Counter> {
        self.families.backpressure(self.label())
    }

    /// The caller's name, for a queue that is fair between callers.
    #[must_use]
    pub(crate) fn caller(&self) -> &str {
        &self.caller.name
    }

    /// The share of the queue to which the caller is entitled.
    #[must_use]
    pub(crate) fn terms(&self) -> Terms {
        self.caller.terms
    }

    /// The most tokens per second of each of this caller's streams.
    #[must_use]
    pub(crate) fn pace(&self) -> Option<u32> {
        self.caller.rights.pace
    }

    /// The models that the caller may use. `None`: all.
    #[must_use]
    pub(crate) fn models(&self) -> Option<&Models> {
        self.caller.rights.models.as_ref()
    }

    /// The rest of the caller's quotas now. Empty if the request counts against no quota.
    #[must_use]
    pub(crate) fn allowances(&self) -> Allowances {
        match (&self.taken, self.caller.account()) {
            _ if self.is_free => Allowances::default(),
            (Taken::Shared(_), Some(account)) => Allowances::of(account.rests()),
            (Taken::Here { buckets, .. }, _) => buckets.allowances(),
            (Taken::Shared(_), None) => Allowances::default(),
        }
    }

    /// Removes a known key from the headers of a forwarded request. An unknown key stays.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        if self.is_known {
            caller::strip(headers);
        }
    }

    /// Counts the request as admitted, once it has its slot or needs none. A retry at another upstream does not
    /// count again.
    pub(crate) fn enter(&self) {
        if !self.is_counted.swap(true, Relaxed) {
            self.families.admitted.inc();
        }
    }

    /// Counts the request as refused by the queue. It still counts against the caller's request quota, so that
    /// asking a full queue again and again is not free. A request that was admitted at another upstream before
    /// stays counted as admitted.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        if !self.is_counted.swap(true, Relaxed) {
            self.families.refused(refusal.reason());
        }
    }

    /// Counts the ended request and charges its tokens.
    pub(crate) fn charge(&self, charge: &Charge<'_>) {
        self.families.ended(self.label(), charge.outcome, &charge.usage);
        if let Some(time) = charge.first_token {
            self.families.first_token(self.label(), time);
        }
        if !self.route.takes_slot() {
            return;
        }
        match &self.taken {
            Taken::Here { buckets, .. } => buckets.charge(charge.tokens()),
            Taken::Shared(entry) => entry.charge(charge.tokens()),
        }
    }
}
