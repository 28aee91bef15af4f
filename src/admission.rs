//! Decides which requests are admitted: a [`Permit`] or a [`Refusal`].

mod access;
mod buckets;
mod caller;
mod families;
mod limits;
mod models;
mod origin;
mod permit;
mod rate;
mod refusal;
mod share;
#[cfg(test)]
mod tests;
mod users;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderMap, HeaderValue};

use crate::{
    protocol::Route,
    store::{DeniedBy, OnFailure, SharedVerdict, Store},
};
use buckets::Buckets;
use caller::ShownKey;
use families::{Families, OTHER};
use permit::{Caller, Rights, Taken};

pub use access::{Access, NoSuchRoute};
pub use caller::Digest;
pub use limits::Limits;
pub use models::{Models, NoSuchName};
pub use origin::{NoOrigin, Origins};
pub(crate) use permit::Charge;
pub use permit::Permit;
pub use rate::{Allowance, Quota};
pub use refusal::{Allowances, Refusal};
pub use users::CallerHeader;
use users::{FoundUser, Users};

/// The caller of a request without a known key.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// Callers with a label of their own. All further callers, and callers whose key was removed, share [`OTHER`].
const MAX_CALLERS: usize = 64;
/// When a client should try again whose limits cannot be checked. The store is tried four times in this time.
const RECOVERY: Duration = Duration::from_secs(1);

/// Settings of admission. By default every request is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Refuse requests without a known key.
    pub require_key: bool,
    /// The open routes. Requests to other routes are refused.
    pub routes: Access,
    /// The origins of web pages that may read the sidecar's own responses (CORS).
    pub origins: Origins,
    /// The limits that all requests without a known key share.
    pub anonymous: Limits,
    /// The header field in which some keys name their users. `None`: no key does.
    pub caller_header: Option<CallerHeader>,
    /// The keys. Names and digests are unique.
    pub keys: Vec<Key>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            require_key: false,
            routes: Access::ALL,
            origins: Origins::default(),
            anonymous: Limits::default(),
            caller_header: None,
            keys: Vec::new(),
        }
    }
}

/// The key of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The caller's name, which is the label `caller`.
    pub name: String,
    /// The digest of the key. The key itself is not kept.
    pub digest: Digest,
    /// The caller's limits.
    pub limits: Limits,
    /// The caller's routes. They are open only if `Config::routes` has them too.
    pub routes: Access,
    /// The caller's models. `None`: all.
    pub models: Option<Models>,
    /// The most tokens per second of each of the caller's streams.
    pub pace: Option<u32>,
    /// How the caller's requests are decided while the store of shared limits does not answer. `None`: as
    /// [`store::Config`](crate::store::Config) says.
    pub on_failure: Option<OnFailure>,
}

/// Admits requests. A reload may replace its settings at any time.
///
/// Public for the benchmarks, which measure admission alone. A sidecar makes its own.
#[doc(hidden)]
pub struct Admission {
    families: Families,
    outcomes: &'static [&'static str],
    register: RwLock<Arc<Register>>,
    users: Mutex<Users>,
    /// The store of limits that several sidecars share.
    store: Option<Arc<Store>>,
}

/// The known callers.
#[derive(Debug)]
struct Register {
    require_key: bool,
    routes: Access,
    origins: Origins,
    anonymous: Arc<Caller>,
    caller_header: Option<CallerHeader>,
    digests: Vec<Digest>,
    /// In the same order as `digests`.
    callers: Vec<Arc<Caller>>,
}

impl Admission {
    /// Registers its metrics on `registry` and admits requests by `config`. `outcomes` are the possible values of
    /// [`Charge::outcome`].
    ///
    /// # Errors
    /// A metric name that `registry` has already.
    pub fn register(
        registry: &prometheus::Registry,
        config: &Config,
        outcomes: &'static [&'static str],
    ) -> prometheus::Result<Admission> {
        Admission::sharing(registry, config, outcomes, None)
    }

    /// The same, with limits that the sidecars of `store` share.
    pub(crate) fn sharing(
        registry: &prometheus::Registry,
        config: &Config,
        outcomes: &'static [&'static str],
        store: Option<Arc<Store>>,
    ) -> prometheus::Result<Admission> {
        let families = Families::register(registry)?;
        let register = Arc::new(Register::new(config, None, store.as_ref()));
        register.open(&families, outcomes);
        Ok(Admission { families, register: RwLock::new(register), users: Mutex::default(), outcomes, store })
    }

    /// Replaces the settings. A caller whose quota is unchanged keeps the state of its limiter, and existing
    /// permits stay valid. Returns the labels that no caller has any more. Their series are removed, and their
    /// running requests are counted as `other` when they end.
    pub(crate) fn reload(&self, config: &Config) -> Vec<String> {
        let mut held = self.register.write().unwrap_or_else(PoisonError::into_inner);
        let register = Register::new(config, Some(&held), self.store.as_ref());
        register.open(&self.families, self.outcomes);
        let former = std::mem::replace(&mut *held, Arc::new(register));
        let stays = |label: &str| label == OTHER || held.callers.iter().any(|caller| caller.label() == label);
        let mut gone = Vec::new();
        for caller in former.callers.iter().filter(|caller| !stays(caller.label())) {
            gone.push(caller.label().to_owned());
            caller.leave();
        }
        let named = |key: &Caller| {
            held.callers.iter().any(|caller| caller.name() == key.name() && caller.names_users())
        };
        gone.extend(self.users().retain(named));
        self.families.close(&gone);
        if !gone.is_empty() {
            self.families.open(OTHER, self.outcomes);
        }
        gone
    }

    /// Admits a request.
    ///
    /// # Errors
    /// The [`Refusal`] of the request.
    pub fn admit(&self, headers: &HeaderMap, route: Route) -> Result<Permit, Refusal> {
        let register = self.known();
        let known =
            register.identify(headers).inspect_err(|refusal| self.families.refused(refusal.reason()))?;
        let caller = known.unwrap_or(&register.anonymous);
        let user = register.user(caller, headers).and_then(|user| self.find_user(caller, user));
        let caller = user.as_ref().unwrap_or(caller);
        let taken =
            register.decide(caller, route).inspect_err(|refusal| self.turned_away(caller, refusal))?;
        Ok(Permit::new(caller.clone(), known.is_some(), route, self.families.clone(), taken))
    }

    /// Admits a request as [`Admission::admit`] does. If the limits of its caller are shared, it waits for their store,
    /// for its deadline at most.
    ///
    /// # Errors
    /// The [`Refusal`] of the request.
    pub(crate) async fn enter(&self, headers: &HeaderMap, route: Route) -> Result<Permit, Refusal> {
        let register = self.known();
        let known =
            register.identify(headers).inspect_err(|refusal| self.families.refused(refusal.reason()))?;
        let caller = known.unwrap_or(&register.anonymous);
        let user = register.user(caller, headers).and_then(|user| self.find_user(caller, user));
        let caller = user.as_ref().unwrap_or(caller);
        let decided = if caller.account().is_some() {
            register.decide_shared(caller, route).await
        } else {
            register.decide(caller, route)
        };
        let taken = decided.inspect_err(|refusal| self.turned_away(caller, refusal))?;
        Ok(Permit::new(caller.clone(), known.is_some(), route, self.families.clone(), taken))
    }

    /// Admits a CORS preflight. `announced` is the route of the request that it announces. A browser sends no key
    /// with it, so that it needs no key and counts against no quota.
    ///
    /// # Errors
    /// The announced route is closed.
    pub(crate) fn admit_preflight(&self, headers: &HeaderMap, announced: Route) -> Result<Permit, Refusal> {
        let register = self.known();
        // A key in a preflight is still removed, so that it does not reach the upstream.
        let known = register.identify(headers).ok().flatten();
        let caller = known.unwrap_or(&register.anonymous);
        register.is_open(caller, announced).inspect_err(|refusal| self.turned_away(caller, refusal))?;
        let taken = Taken::Here { buckets: caller.buckets().clone(), _entry: None };
        Ok(Permit::new(caller.clone(), known.is_some(), Route::Other, self.families.clone(), taken).free())
    }

    /// The value of `Access-Control-Allow-Origin` for this origin; `None`: its pages may not read the sidecar's own
    /// responses.
    #[must_use]
    pub(crate) fn origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        self.known().origins.answer(origin)
    }

    /// The caller of a user that a trusted key names.
    fn find_user(&self, key: &Arc<Caller>, user: &str) -> Option<Arc<Caller>> {
        let FoundUser { caller, is_new, gone } = self.users().find(key, user)?;
        if let Some(gone) = gone {
            self.families.close(&[gone]);
        }
        if is_new {
            self.families.open(caller.label(), self.outcomes);
        }
        Some(caller)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned_away(&self, caller: &Caller, refusal: &Refusal) {
        self.families.refused(refusal.reason());
        self.families.turned_away(caller.label());
    }

    fn known(&self) -> Arc<Register> {
        self.register.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("register", &self.known()).finish()
    }
}

impl Register {
    fn new(config: &Config, before: Option<&Register>, store: Option<&Arc<Store>>) -> Register {
        let former = before.into_iter().flat_map(|before| before.callers.iter().chain([&before.anonymous]));
        let former: HashMap<&str, &Arc<Caller>> = former.map(|caller| (caller.name(), caller)).collect();
        let make = |name: &str, label: &str, limits: &Limits, rights, on_failure| {
            let caller = Caller::new(name, label, limits, rights, former.get(name).map(|caller| &***caller));
            Arc::new(caller.sharing(store, on_failure))
        };
        let callers = config.keys.iter().enumerate().map(|(place, key)| {
            let label = if place < MAX_CALLERS { key.name.as_str() } else { OTHER };
            let (models, pace) = (key.models.clone(), key.pace);
            let names_users =
                config.caller_header.as_ref().is_some_and(|header| header.keys.contains(&key.name));
            let rights = Rights { routes: key.routes, models, pace, names_users };
            make(&key.name, label, &key.limits, rights, key.on_failure)
        });
        Register {
            require_key: config.require_key,
            routes: config.routes,
            origins: config.origins.clone(),
            anonymous: make(ANONYMOUS, ANONYMOUS, &config.anonymous, Rights::default(), None),
            caller_header: config.caller_header.clone(),
            callers: callers.collect(),
            digests: config.keys.iter().map(|key| key.digest).collect(),
        }
    }

    /// Creates the series of all callers, at 0.
    fn open(&self, families: &Families, outcomes: &[&str]) {
        let anonymous = Some(&self.anonymous).filter(|_| !self.require_key);
        let mut limits = Vec::new();
        for caller in self.callers.iter().chain(anonymous) {
            families.open(caller.label(), outcomes);
            // Callers that share a label have no limit in common.
            if caller.label() != OTHER {
                limits.extend(caller.buckets().quotas().map(|(kind, quota)| (caller.label(), kind, quota)));
            }
        }
        families.limit(&limits);
    }

    /// The user that a request of this caller names, if the caller may name one.
    fn user<'a>(&self, caller: &Caller, headers: &'a HeaderMap) -> Option<&'a str> {
        self.caller_header.as_ref().filter(|_| caller.names_users())?.user(headers)
    }

    fn decide(&self, caller: &Caller, route: Route) -> Result<Taken, Refusal> {
        self.is_open(caller, route)?;
        let buckets = caller.buckets();
        buckets.take(route)?;
        Ok(Taken::Here { buckets: buckets.clone(), _entry: None })
    }

    /// Decides about a caller whose limits are shared.
    async fn decide_shared(&self, caller: &Caller, route: Route) -> Result<Taken, Refusal> {
        self.is_open(caller, route)?;
        let Some(account) = caller.account() else { return self.decide(caller, route) };
        match account.take(route.takes_slot()).await {
            SharedVerdict::Admitted(entry) => Ok(Taken::Shared(entry)),
            SharedVerdict::Denied(denial) => {
                let (wait, allowances) = (denial.wait, Allowances::of(denial.rests));
                Err(match denial.kind {
                    DeniedBy::Requests => Refusal::Requests { wait, allowances },
                    DeniedBy::Tokens => Refusal::Tokens { wait, allowances },
                })
            }
            SharedVerdict::Unanswered { policy, sidecars, entry } => {
                let buckets = match policy {
                    OnFailure::Closed => return Err(Refusal::Unchecked { wait: RECOVERY }),
                    OnFailure::Open => Buckets::default(),
                    OnFailure::Local => caller.share().of(sidecars),
                };
                buckets.take(route)?;
                Ok(Taken::Here { buckets, _entry: Some(entry) })
            }
        }
    }

    fn is_open(&self, caller: &Caller, route: Route) -> Result<(), Refusal> {
        let is_open = self.routes.allows(route) && caller.allows(route);
        if is_open { Ok(()) } else { Err(Refusal::Route(route)) }
    }

    /// The caller with the key of the request; `None`: anonymous.
    fn identify(&self, headers: &HeaderMap) -> Result<Option<&Arc<Caller>>, Refusal> {
        if self.digests.is_empty() && !self.require_key {
            // Another scheme of `Authorization` is for the upstream and is passed on.
            return Ok(None);
        }
        let (found, refusal) = match ShownKey::of(headers) {
            ShownKey::Nothing => (None, Refusal::NoKey),
            ShownKey::Nonsense => (None, Refusal::UnknownKey),
            ShownKey::Several => return Err(Refusal::SeveralKeys),
            ShownKey::Key(digest) => (caller::find(&digest, &self.digests), Refusal::UnknownKey),
        };
        match found {
            Some(place) => Ok(self.callers.get(place)),
            None if self.require_key => Err(refusal),
            None => Ok(None),
        }
    }
}
