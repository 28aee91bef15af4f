//! The Ollamas behind: who they are, how they fare, which one takes a request.

mod answer;
mod breaker;
mod busy;
mod choose;
mod client;
mod health;
mod instance;
mod link;
mod merged;
mod patience;
mod pool;
mod probing;
pub mod queue;
mod socket;
mod whereabouts;

use std::{
    fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future;
use http::{HeaderMap, HeaderValue, uri::Authority};

pub(crate) use answer::{Answer, Broken, Excuse};
pub(crate) use breaker::Failed;
pub(crate) use busy::Busy;
use busy::Runs;
pub(crate) use client::{Client, Unanswered};
pub(crate) use health::{Health, Loaded, NoProber};
pub(crate) use merged::List;
pub(crate) use patience::Patience;

use crate::{
    protocol::{CLOUD, Route, is_cloud_model},
    tls::{Peer, Trust, Unusable},
};
use breaker::Breaker;
use health::Prober;
use instance::Instance;
use probing::{Probing, Shelf};
use queue::Place;
use whereabouts::Whereabouts;

/// Names that no upstream may have: the label `upstream` says something else with them.
pub(crate) const RESERVED: [&str; 2] = [CLOUD, "none"];

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Ollamas; at least one.
    pub upstreams: Vec<UpstreamConfig>,
    /// How one is chosen.
    pub choose: Policy,
    /// The name of the one that manages models and answers requests of the account; default: the first.
    pub primary: Option<String>,
    /// Between two health probes.
    pub health_interval: Duration,
    /// To an established connection.
    pub connect_timeout: Duration,
    /// From the request sent to the response's head, which Ollama sends with the first record: a tool call, or a
    /// response that is no stream, is generated before it. Zero: no limit.
    pub response_timeout: Duration,
    /// Between two chunks of a response, a tool call behind text too; zero: no limit.
    pub silence_timeout: Duration,
}

/// One Ollama.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The value of the label `upstream`.
    pub name: String,
    /// `http://host:port` or `https://host:port`, no path.
    pub url: url::Url,
    /// How one of `https` is verified. `None`: by the authorities of the system.
    pub tls: Option<Trust>,
    /// Streams at once; more wait in the queue. `None`: no bound.
    pub max_streams: Option<usize>,
    /// Its share of requests beside the others; at least 1.
    pub weight: usize,
}

impl UpstreamConfig {
    /// One without a bound, and of weight 1.
    #[must_use]
    pub fn new(name: impl Into<String>, url: url::Url) -> UpstreamConfig {
        UpstreamConfig { name: name.into(), url, tls: None, max_streams: None, weight: 1 }
    }
}

/// How an upstream is chosen among the healthy ones that have the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn.
    RoundRobin,
    /// The one with the fewest requests in flight, by its weight.
    LeastBusy,
    /// Where the model is loaded, else the least busy.
    #[default]
    ModelAware,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            upstreams: vec![UpstreamConfig::new(
                "upstream0",
                url::Url::parse("http://127.0.0.1:11434").expect("a constant"),
            )],
            choose: Policy::default(),
            primary: None,
            health_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::ZERO,
            silence_timeout: Duration::ZERO,
        }
    }
}

/// One Ollama, and how it fares.
#[derive(Debug)]
pub(crate) struct Upstream {
    name: String,
    authority: Authority,
    host: HeaderValue,
    /// `None`: it is plain.
    peer: Option<Peer>,
    position: usize,
    weight: usize,
    max_streams: Option<usize>,
    requests: AtomicUsize,
    /// Of these, those that take a place.
    streams: AtomicUsize,
    health: RwLock<Arc<Health>>,
    probing: Probing,
    whereabouts: Whereabouts,
    /// `None` where there is no other upstream to take its requests.
    breaker: Option<Breaker>,
}

impl Upstream {
    fn new(position: usize, config: &UpstreamConfig, has_others: bool) -> Result<Upstream, UpstreamError> {
        // A URL's host and port are an authority, which is a header's value. It has no port that is the scheme's own.
        let host = config.url.host_str().unwrap_or("localhost");
        let authority = match config.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Upstream {
            name: config.name.clone(),
            peer: peer(config)?,
            position,
            weight: config.weight.max(1),
            max_streams: config.max_streams,
            host: HeaderValue::from_str(&authority).expect("a URL's host is ASCII"),
            authority: authority.parse().expect("a URL's host and port"),
            requests: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            health: RwLock::default(),
            probing: Probing::default(),
            whereabouts: Whereabouts::default(),
            breaker: has_others.then(Breaker::default),
        })
    }

    /// The value of the label `upstream`.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its place in the settings, from 0.
    #[must_use]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Host and port.
    #[must_use]
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The value of the field `Host`: Ollama on loopback refuses one that it does not know.
    #[must_use]
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// How it is spoken to by TLS; `None`: it is not.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// One more request is here until the guard is dropped, which holds `place` too.
    #[must_use]
    pub(crate) fn enter(self: &Arc<Self>, place: Option<Place>) -> Busy {
        Busy::enter(self, place, Runs::Here)
    }

    /// One more request is here that Ollama passes on to its cloud: it is no stream of this upstream, and what the cloud
    /// does wrong is not held against the upstream. `place` is its caller's.
    #[must_use]
    pub(crate) fn pass_on(self: &Arc<Self>, place: Option<Place>) -> Busy {
        Busy::enter(self, place, Runs::Elsewhere)
    }

    /// It failed lately, and is left out for a while.
    #[must_use]
    pub(crate) fn is_out(&self) -> bool {
        self.breaker.as_ref().is_some_and(Breaker::is_open)
    }

    /// Its share beside the others.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// A model does not run here: Ollama passes requests for it on to its cloud. `model` is canonical. What the list of
    /// models says comes before what the name says, for older versions take every name for one of their own.
    pub(crate) fn passes_on(&self, model: &str) -> bool {
        let health = self.health();
        match health.listed(model) {
            Some(Some(_)) => health.remote.contains(model),
            _ => is_cloud_model(model),
        }
    }

    /// It has as many streams as it takes.
    fn is_full(&self) -> bool {
        self.max_streams.is_some_and(|most| self.streams.load(Relaxed) >= most)
    }

    /// Requests that are here now.
    #[must_use]
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    /// What it said last.
    #[must_use]
    pub(crate) fn health(&self) -> Arc<Health> {
        self.health.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often its name was found to lead elsewhere.
    fn moves(&self) -> u64 {
        self.whereabouts.moves()
    }

    fn report(&self, health: Health) {
        *self.health.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(health);
    }
}

/// All the Ollamas.
#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Arc<Upstream>>,
    config: Config,
    primary: usize,
    probers: Vec<Prober>,
    instance: Instance,
    shelf: Arc<Shelf>,
    turn: AtomicUsize,
    hook: Hook,
}

/// Is told what each probe found.
#[derive(Default)]
struct Hook(OnceLock<Box<Probed>>);

type Probed = dyn Fn(&Upstream) + Send + Sync;

impl Hook {
    fn probed(&self, upstream: &Upstream) {
        if let Some(hook) = self.0.get() {
            hook(upstream);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").finish_non_exhaustive()
    }
}

/// Why upstreams cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// An upstream has a name that the label `upstream` has for something else.
    #[error("{0:?} is no name for an upstream: the metrics use it for something else")]
    Reserved(String),
    /// None is configured.
    #[error("no upstream is configured")]
    None,
    /// `upstreams.primary` names none of them.
    #[error("upstreams.primary is {0:?}, which is none of the upstreams")]
    NoSuchPrimary(String),
    /// One of `https` cannot be verified.
    #[error("upstream {name:?}: {why}")]
    Tls {
        /// Its name.
        name: String,
        /// Why.
        why: Unusable,
    },
    /// No client to probe them with.
    #[error(transparent)]
    Client(#[from] NoProber),
}

impl Upstreams {
    /// The upstreams of the settings, of which nothing is known yet.
    ///
    /// # Errors
    /// There are none, one has a name that is reserved, the primary is none of them, or one of `https` cannot be verified.
    pub(crate) fn new(config: &Config) -> Result<Upstreams, UpstreamError> {
        if config.upstreams.is_empty() {
            return Err(UpstreamError::None);
        }
        if let Some(one) = config.upstreams.iter().find(|one| RESERVED.contains(&one.name.as_str())) {
            return Err(UpstreamError::Reserved(one.name.clone()));
        }
        let primary = match &config.primary {
            None => 0,
            Some(name) => config
                .upstreams
                .iter()
                .position(|upstream| upstream.name == *name)
                .ok_or_else(|| UpstreamError::NoSuchPrimary(name.clone()))?,
        };
        let has_others = config.upstreams.len() > 1;
        let each = config.upstreams.iter().enumerate();
        let all: Result<Vec<_>, _> =
            each.map(|(position, one)| Upstream::new(position, one, has_others).map(Arc::new)).collect();
        let all = all?;
        let instance = Instance::default();
        let probers: Result<_, _> = all
            .iter()
            .map(|upstream| Prober::new(upstream.peer(), config.connect_timeout, &instance))
            .collect();
        Ok(Upstreams {
            all,
            probers: probers?,
            config: config.clone(),
            primary,
            instance,
            shelf: Arc::default(),
            turn: AtomicUsize::new(0),
            hook: Hook::default(),
        })
    }

    /// Calls `hook` after each probe of an upstream, whose [`Upstream::health`] is what the probe found. The first hook
    /// stays.
    pub(crate) fn on_probe(&self, hook: impl Fn(&Upstream) + Send + Sync + 'static) {
        let _ = self.hook.0.set(Box::new(hook));
    }

    /// The fields are those of a probe that this sidecar sent: the address of an upstream leads back to it.
    #[must_use]
    pub(crate) fn is_own_probe(&self, fields: &HeaderMap) -> bool {
        self.instance.sent(fields)
    }

    /// Every upstream, in the order of the settings.
    #[must_use]
    pub(crate) fn all(&self) -> &[Arc<Upstream>] {
        &self.all
    }

    /// The one that takes a request. `model` is canonical.
    pub(crate) async fn choose(&self, route: Route, model: Option<&str>) -> &Arc<Upstream> {
        let primary = &self.all[self.primary];
        if choose::is_of_primary(route) {
            return primary;
        }
        if self.all.len() == 1 {
            if model
                .is_some_and(|model| primary.health().listed(model) == Some(None) && !is_cloud_model(model))
            {
                self.look_again_at(primary);
            }
            return primary;
        }
        if let Some(model) = model
            && !is_cloud_model(model)
            && !self.all.iter().any(|upstream| upstream.health().has(model))
        {
            // Pulled a moment ago, perhaps.
            self.look_again().await;
        }
        self.pick(model, &[]).expect("there is at least one upstream")
    }

    /// Another one for a request that could not be sent to those at the places in `tried`, if it may go to
    /// another and there is one.
    #[must_use]
    pub(crate) fn instead(
        &self,
        route: Route,
        model: Option<&str>,
        tried: &[usize],
    ) -> Option<&Arc<Upstream>> {
        if choose::is_of_primary(route) { None } else { self.pick(model, tried) }
    }

    fn pick(&self, model: Option<&str>, tried: &[usize]) -> Option<&Arc<Upstream>> {
        let turn = self.turn.fetch_add(1, Relaxed);
        choose::choose(&self.all, self.config.choose, model, turn, tried)
    }

    /// Probes every upstream and follows its name, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        let every = self.config.health_interval;
        let each = self.all.iter().zip(&self.config.upstreams);
        let follows = each
            .clone()
            .map(|(upstream, config)| upstream.whereabouts.follow(upstream.name(), &config.url, every));
        let watches = each.zip(&self.probers).map(|((upstream, config), prober)| {
            prober.clone().watch(upstream, config.url.clone(), every, &self.hook)
        });
        future::join(future::join_all(watches), future::join_all(follows)).await;
    }

    /// Verifies those of `https` as these settings say, from the next connection on. The rest of the settings, and
    /// an upstream that is not where it was, change nothing.
    pub(crate) fn reload(&self, config: &Config) {
        for ((upstream, before), after) in self.all.iter().zip(&self.config.upstreams).zip(&config.upstreams)
        {
            let Some(peer) = upstream.peer.as_ref().filter(|_| before.url == after.url) else { continue };
            if let Err(why) = peer.renew(after.tls.as_ref()) {
                tracing::warn!(upstream = upstream.name(), %why, "cannot use the new TLS settings: keeping the previous ones");
            }
        }
    }
}

/// How an upstream is spoken to by TLS, if its URL says that it is.
fn peer(config: &UpstreamConfig) -> Result<Option<Peer>, UpstreamError> {
    if config.url.scheme() != "https" {
        return Ok(None);
    }
    let peer = Peer::new(&config.url, config.tls.as_ref());
    peer.map(Some).map_err(|why| UpstreamError::Tls { name: config.name.clone(), why })
}
