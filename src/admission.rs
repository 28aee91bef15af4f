//! Who may ask for what, and how much: a [`Permit`] or a [`Refusal`].

mod access;
mod caller;
mod families;
mod limits;
mod origin;
mod permit;
mod rate;
mod refusal;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use http::{HeaderMap, HeaderValue};

use crate::protocol::Route;
use caller::ShownKey;
use families::{Families, OTHER};
use permit::Caller;

pub use access::{Access, NoSuchRoute};
pub use caller::Digest;
pub use limits::Limits;
pub use origin::{NoOrigin, Origins};
pub(crate) use permit::Charge;
pub use permit::Permit;
pub use rate::{Allowance, Quota};
pub use refusal::{Allowances, Refusal};

/// Who asks without a key of ours.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// So many callers have a label of their own; the rest, and those whose key is gone, are [`OTHER`].
const MAX_CALLERS: usize = 64;

/// Settings of this stage; by default all may do all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Without a key that is known nobody gets in.
    pub require_key: bool,
    /// The routes that are open at all.
    pub routes: Access,
    /// Web pages that may read what we say ourselves.
    pub origins: Origins,
    /// The limits of all who have no key that is known, together.
    pub anonymous: Limits,
    /// The keys; names and digests differ.
    pub keys: Vec<Key>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            require_key: false,
            routes: Access::ALL,
            origins: Origins::default(),
            anonymous: Limits::default(),
            keys: Vec::new(),
        }
    }
}

/// One caller's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The label `caller`.
    pub name: String,
    /// Of the key itself, which is kept nowhere.
    pub digest: Digest,
    /// What it may ask for.
    pub limits: Limits,
    /// Where it may go, within the routes that are open at all.
    pub routes: Access,
    /// Tokens a second of each of its streams.
    pub pace: Option<u32>,
}

/// Admits requests. A reload may change all it knows while it does.
///
/// Public for the benchmarks, which measure admission alone. A sidecar makes its own.
#[doc(hidden)]
pub struct Admission {
    families: Families,
    outcomes: &'static [&'static str],
    register: RwLock<Arc<Register>>,
}

/// Those who are known.
#[derive(Debug)]
struct Register {
    require_key: bool,
    routes: Access,
    origins: Origins,
    anonymous: Arc<Caller>,
    digests: Vec<Digest>,
    /// In the order of the digests.
    callers: Vec<Arc<Caller>>,
}

impl Admission {
    /// Registers its families on `registry` and admits by these settings. `outcomes` are the values that
    /// [`Charge::outcome`] may have.
    ///
    /// # Errors
    /// A name that `registry` has already.
    pub fn register(
        registry: &prometheus::Registry,
        config: &Config,
        outcomes: &'static [&'static str],
    ) -> prometheus::Result<Admission> {
        let families = Families::register(registry)?;
        let register = Arc::new(Register::new(config, None));
        register.open(&families, outcomes);
        Ok(Admission { families, register: RwLock::new(register), outcomes })
    }

    /// Admits by other settings from now on. A limiter whose caller and quota are what they were keeps its
    /// state; permits that were given hold. Returns the labels that no caller has any more: their series are
    /// gone, and what they began ends as `other`.
    pub(crate) fn reload(&self, config: &Config) -> Vec<String> {
        let mut held = self.register.write().unwrap_or_else(PoisonError::into_inner);
        let register = Register::new(config, Some(&held));
        register.open(&self.families, self.outcomes);
        let former = std::mem::replace(&mut *held, Arc::new(register));
        let stays = |label: &str| label == OTHER || held.callers.iter().any(|caller| caller.label() == label);
        let mut gone = Vec::new();
        for caller in former.callers.iter().filter(|caller| !stays(caller.label())) {
            gone.push(caller.label().to_owned());
            caller.leave();
        }
        self.families.close(&gone);
        if !gone.is_empty() {
            self.families.open(OTHER, self.outcomes);
        }
        gone
    }

    /// Lets a request in, or says why not.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn admit(&self, headers: &HeaderMap, route: Route) -> Result<Permit, Refusal> {
        let register = self.known();
        let known =
            register.identify(headers).inspect_err(|refusal| self.families.refused(refusal.reason()))?;
        let caller = known.unwrap_or(&register.anonymous);
        register.decide(caller, route).inspect_err(|refusal| self.turned_away(caller, refusal))?;
        Ok(Permit::new(caller.clone(), known.is_some(), route, self.families.clone()))
    }

    /// Lets a preflight of CORS in, or says why not. `announced` is the route of the request that it announces. A browser
    /// puts no key into it, so that it needs none and counts against no quota.
    ///
    /// # Errors
    /// The announced route is closed.
    pub(crate) fn admit_preflight(&self, headers: &HeaderMap, announced: Route) -> Result<Permit, Refusal> {
        let register = self.known();
        // It may show a key all the same, which goes no further then.
        let known = register.identify(headers).ok().flatten();
        let caller = known.unwrap_or(&register.anonymous);
        register.is_open(caller, announced).inspect_err(|refusal| self.turned_away(caller, refusal))?;
        Ok(Permit::new(caller.clone(), known.is_some(), Route::Other, self.families.clone()).free())
    }

    /// The value of `Access-Control-Allow-Origin` for a web page that may read what we say ourselves.
    #[must_use]
    pub(crate) fn origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        self.known().origins.answer(origin)
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
    fn new(config: &Config, before: Option<&Register>) -> Register {
        let former = |name: &str| {
            let before = before?;
            before.callers.iter().chain([&before.anonymous]).find(|caller| caller.name() == name)
        };
        let make = |name: &str, label: &str, limits: &Limits, routes, pace| {
            Arc::new(Caller::new(name, label, limits, routes, pace, former(name).map(AsRef::as_ref)))
        };
        let callers = config.keys.iter().enumerate().map(|(place, key)| {
            let label = if place < MAX_CALLERS { key.name.as_str() } else { OTHER };
            make(&key.name, label, &key.limits, key.routes, key.pace)
        });
        Register {
            require_key: config.require_key,
            routes: config.routes,
            origins: config.origins.clone(),
            anonymous: make(ANONYMOUS, ANONYMOUS, &config.anonymous, Access::ALL, None),
            callers: callers.collect(),
            digests: config.keys.iter().map(|key| key.digest).collect(),
        }
    }

    /// Opens the series of those who may be let in.
    fn open(&self, families: &Families, outcomes: &[&str]) {
        let anonymous = Some(&self.anonymous).filter(|_| !self.require_key);
        for caller in self.callers.iter().chain(anonymous) {
            families.open(caller.label(), outcomes);
        }
    }

    fn decide(&self, caller: &Caller, route: Route) -> Result<(), Refusal> {
        self.is_open(caller, route)?;
        caller.take(route)
    }

    fn is_open(&self, caller: &Caller, route: Route) -> Result<(), Refusal> {
        let is_open = self.routes.allows(route) && caller.allows(route);
        if is_open { Ok(()) } else { Err(Refusal::Route(route)) }
    }

    /// The caller whose key is shown; `None`: anonymous.
    fn identify(&self, headers: &HeaderMap) -> Result<Option<&Arc<Caller>>, Refusal> {
        if self.digests.is_empty() && !self.require_key {
            // A field that is not for us is none of our business.
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
