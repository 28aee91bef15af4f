//! The state that the scheduler's clones, the waiting requests and the slots share.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    auto::{AutoMetrics, Occupancy, StreamCost},
    config::{Config, FairBy},
    dispatcher::{Ask, Dispatcher, Fleet, Free, Grant, Lease, Outlook, Settings, Terms, Ticket},
    families::Families,
    want::Want,
};

/// The period after which the candidates of a waiting request are looked up again. They change with time: a breaker
/// becomes half-open, or the request has waited longer than a load takes.
const REVIEW: Duration = Duration::from_secs(1);

/// Why a request has no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSlot {
    /// The queue is full, and no other caller has at least two more requests in it.
    #[error("the queue is full")]
    Full {
        /// The recent mean wait.
        wait: Duration,
        /// The time that this request has waited.
        waited: Duration,
    },
    /// No slot became free in time.
    #[error("no slot became free in time")]
    Late {
        /// The recent mean wait.
        wait: Duration,
        /// The time that this request has waited.
        waited: Duration,
    },
}

type Core = Dispatcher<Want, oneshot::Sender<Slot>>;

/// The state of a scheduler.
pub(super) struct Shared {
    config: Config,
    state: Mutex<Granting>,
    fleet: Arc<dyn Fleet<Want> + Send + Sync>,
    upstreams: usize,
    /// The running requests of each upstream, whether anything is limited or not.
    running: Vec<AtomicUsize>,
    is_limited: bool,
    pub(super) families: Families,
    start: Instant,
}

/// The part that changes.
#[derive(Debug)]
struct Granting {
    core: Core,
    /// The metrics of the upstreams whose limits are found.
    auto: BTreeMap<usize, AutoMetrics>,
    /// The time at which the candidates of the waiting requests were last looked up.
    refreshed: Duration,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("state", &*self.state()).finish_non_exhaustive()
    }
}

/// A slot at an upstream, and one of its caller's streams. The drop frees both.
#[derive(Debug, Default)]
pub struct Slot {
    upstream: usize,
    /// `None` if the upstream has finished the request, or Ollama's cloud runs it.
    runs: Option<RunsAt>,
    /// The time that the request waited for the slot, if it waited.
    waited: Option<Duration>,
    /// `None` if no limit applies.
    held: Option<Held>,
}

/// Counts a request as running at its upstream.
#[derive(Debug)]
struct RunsAt {
    shared: Arc<Shared>,
    upstream: usize,
}

impl RunsAt {
    fn at(shared: &Arc<Shared>, upstream: usize) -> Option<RunsAt> {
        shared.running.get(upstream)?.fetch_add(1, Relaxed);
        Some(RunsAt { shared: shared.clone(), upstream })
    }
}

impl Drop for RunsAt {
    fn drop(&mut self) {
        self.shared.running[self.upstream].fetch_sub(1, Relaxed);
    }
}

/// The slots of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotCounts {
    /// Free slots; `None`: no limit.
    pub(crate) free: Option<usize>,
    /// Requests that run.
    pub(crate) busy: usize,
    /// Streams that the upstream has finished and whose clients still read.
    pub(crate) releasing: usize,
}

#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    lease: Lease,
    /// Whether the upstream has finished the request.
    has_left: bool,
    token: Arc<()>,
    /// The use of the slots, once the upstream has finished, if the limit of the upstream is found from its streams.
    seen: Option<Arc<OnceLock<Occupancy>>>,
    is_watched: bool,
}

/// Tells the scheduler what a stream cost, if the limit of its upstream is found from its streams.
#[derive(Debug)]
pub(crate) struct LimitWatch {
    shared: Arc<Shared>,
    upstream: usize,
    seen: Arc<OnceLock<Occupancy>>,
    is_probe: bool,
}

impl LimitWatch {
    /// The stream has ended completely.
    pub(crate) fn tell(mut self, cost: StreamCost) {
        if let Some(seen) = self.seen.get() {
            self.is_probe = false;
            self.shared.learn(self.upstream, Some((seen, cost)));
        }
    }
}

impl Drop for LimitWatch {
    fn drop(&mut self) {
        if self.is_probe {
            self.shared.learn(self.upstream, None);
        }
    }
}

impl Slot {
    pub(super) fn unlimited(shared: &Arc<Shared>, upstream: usize) -> Slot {
        Slot { upstream, runs: RunsAt::at(shared, upstream), waited: None, held: None }
    }

    fn of(shared: Arc<Shared>, lease: Lease) -> Slot {
        let seen = lease.is_probe().map(|_| Arc::default());
        let upstream = lease.upstream;
        Slot {
            upstream,
            runs: RunsAt::at(&shared, upstream),
            waited: None,
            held: Some(Held { shared, lease, has_left: false, token: Arc::new(()), seen, is_watched: false }),
        }
    }

    /// Returns the watch to which the end of the stream has to be told. `None`: the limit of the upstream is fixed, or
    /// the watch was taken already.
    pub(crate) fn take_watch(&mut self) -> Option<LimitWatch> {
        let held = self.held.as_mut()?;
        held.watch()
    }

    /// The position of the upstream; of the cloud, the number of upstreams.
    #[must_use]
    pub const fn upstream(&self) -> usize {
        self.upstream
    }

    /// The time that the request waited for the slot. `None`: it did not wait.
    pub(crate) const fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// The same slot, for a request that waited this long.
    pub(super) fn after(mut self, wait: Duration) -> Slot {
        self.waited = Some(wait);
        self
    }

    /// Returns a token that lives as long as the slot is held. `None`: no limit applies.
    pub(crate) fn token(&self) -> Option<Weak<()>> {
        self.held.as_ref().map(|held| Arc::downgrade(&held.token))
    }

    /// Frees the slot, because the upstream has finished the request. The caller's stream continues.
    pub(crate) fn leave(&mut self) {
        self.runs = None;
        if let Some(held) = &mut self.held {
            held.leave();
        }
    }

    /// Whether the request is the trial of a half-open breaker. From now on the caller of this method is responsible
    /// for the trial. `None`: no limit applies, so the scheduler did not ask the breaker.
    pub(crate) fn take_trial(&mut self) -> Option<bool> {
        self.held.as_mut().map(|held| std::mem::take(&mut held.lease.is_trial))
    }

    /// Notes that the state of the upstream has changed.
    pub(crate) fn changed(&self) {
        if let Some(held) = &self.held {
            held.shared.refresh();
        }
    }
}

impl Held {
    fn watch(&mut self) -> Option<LimitWatch> {
        let (upstream, seen) = (self.lease.upstream, self.seen.clone()?);
        let is_probe = self.lease.is_probe() == Some(true) && !std::mem::replace(&mut self.is_watched, true);
        Some(LimitWatch { shared: self.shared.clone(), upstream, seen, is_probe })
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            let seen = self.shared.act(|core, now| core.free(now, &self.lease, &*self.shared.fleet));
            if let (Some(seen), Some(shown)) = (seen, &self.seen) {
                // It is set once, since the slot is freed once.
                let _ = shown.set(seen);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.lease.is_trial {
            self.shared.fleet.abandoned(self.lease.upstream);
        }
        self.leave();
        // A stream above the limit that nobody watches was never sent.
        drop(self.watch());
        self.shared.act(|core, now| core.end(now, &self.lease, &*self.shared.fleet));
    }
}

/// A request that has just arrived.
pub(super) enum Arrived {
    Served(Slot),
    Waits(oneshot::Receiver<Slot>, Ticket),
}

impl Shared {
    pub(super) fn new(
        config: Config,
        limits: &[Option<usize>],
        fleet: Arc<dyn Fleet<Want> + Send + Sync>,
        families: Families,
    ) -> Arc<Shared> {
        let settings = Settings {
            size: config.size,
            aging: config.priority_aging,
            is_fair: config.fair_by == FairBy::Caller,
        };
        // The last one is the cloud, which has room for all.
        let core = Dispatcher::new(settings, limits.iter().copied().chain([None]));
        Arc::new(Shared {
            config,
            state: Mutex::new(Granting { core, auto: BTreeMap::new(), refreshed: Duration::ZERO }),
            fleet,
            upstreams: limits.len(),
            running: limits.iter().map(|_| AtomicUsize::new(0)).collect(),
            is_limited: limits.iter().any(Option::is_some),
            families,
            start: Instant::now(),
        })
    }

    /// Whether no limit applies to the request.
    pub(super) fn is_unlimited(&self, terms: Terms, want: &Want) -> bool {
        terms.max_streams.is_none() && (!self.is_limited || want.is_cloud)
    }

    /// Returns the upstream of a request to which no limit applies.
    pub(super) fn unlimited(&self, want: &Want) -> usize {
        if want.is_cloud {
            return self.upstreams;
        }
        if self.upstreams == 1 {
            return 0;
        }
        let candidates = self.fleet.candidates(want, Outlook::unlimited());
        let fitting = candidates.iter().filter(|candidate| candidate.patience.is_zero());
        let free: Vec<_> = fitting.map(|candidate| Free { upstream: candidate.upstream, taken: 0 }).collect();
        if free.is_empty() {
            // The models of an upstream changed since the request was placed.
            return (0..self.upstreams).find(|upstream| !want.tried.contains(upstream)).unwrap_or(0);
        }
        free[self.fleet.choose(want, &free)].upstream
    }

    /// Handles the arrival of a request: it gets a slot at once, or waits.
    pub(super) fn arrive(
        self: &Arc<Shared>,
        caller: &str,
        terms: Terms,
        mut want: Want,
    ) -> Result<Arrived, NoSlot> {
        let mut state = self.state();
        let (now, core) = (self.now(), &mut state.core);
        let candidates = self.fleet.candidates(&want, core.outlook(now));
        let ask = Ask { caller, terms, candidates };
        let lease = core.take(now, &ask, &want, &*self.fleet);
        let grants = core.granted();
        let arrived = match lease {
            Some(lease) => Ok(Arrived::Served(Slot::of(self.clone(), lease))),
            None => {
                want.candidates = Box::default();
                let (grant, granted) = oneshot::channel();
                let ticket = core.wait(now, ask, want, grant);
                let full = NoSlot::Full { wait: core.mean_wait(), waited: Duration::ZERO };
                ticket.map(|ticket| Arrived::Waits(granted, ticket)).ok_or(full)
            }
        };
        drop(state);
        self.hand_over(grants);
        arrived
    }

    /// Waits for the grant until the queue timeout. If this future is dropped at the moment of the grant, the slot is
    /// dropped too, and the next request gets it.
    pub(super) async fn attend(
        self: &Arc<Shared>,
        mut granted: oneshot::Receiver<Slot>,
        since: Instant,
    ) -> Option<Result<Slot, oneshot::error::RecvError>> {
        let end = since + self.config.timeout;
        loop {
            let now = Instant::now();
            let review = if self.upstreams > 1 { end.min(now + REVIEW) } else { end };
            if let Ok(outcome) = tokio::time::timeout_at(review, &mut granted).await {
                return Some(outcome);
            }
            if Instant::now() >= end {
                return None;
            }
            self.review();
        }
    }

    /// Lets the time take effect on the waiting requests.
    fn review(self: &Arc<Shared>) {
        let is_due = self.now().saturating_sub(self.state().refreshed) >= REVIEW / 2;
        if is_due { self.refresh() } else { self.act(|core, now| core.tick(now, &*self.fleet)) }
    }

    /// Looks up the candidates of the waiting requests.
    pub(super) fn refresh(self: &Arc<Shared>) {
        self.state().refreshed = self.now();
        self.act(|core, now| {
            if core.waiting() > 0 {
                core.refresh(now, &*self.fleet);
            }
        });
    }

    /// Changes the state, and hands over the slots that this grants.
    fn act<T>(self: &Arc<Shared>, change: impl FnOnce(&mut Core, Duration) -> T) -> T {
        let (result, grants) = {
            let mut state = self.state();
            let result = change(&mut state.core, self.now());
            (result, state.core.granted())
        };
        self.hand_over(grants);
        result
    }

    /// Finds the limit of an upstream from its streams, from now on. `name` is the value of the label `upstream`.
    pub(super) fn find_limit(&self, upstream: usize, name: &str, floor: Option<u32>) {
        let mut state = self.state();
        state.core.find_limit(upstream, floor);
        let metrics = self.families.auto.upstream(name);
        self.show_limit(&state.core, upstream, &metrics);
        state.auto.insert(upstream, metrics);
    }

    /// Takes in what a stream cost, and shows the limit that results.
    fn learn(self: &Arc<Shared>, upstream: usize, ended: Option<(&Occupancy, StreamCost)>) {
        let grants = {
            let mut state = self.state();
            state.core.learn(self.now(), upstream, ended, &*self.fleet);
            if let Some(metrics) = state.auto.get(&upstream) {
                self.show_limit(&state.core, upstream, metrics);
            }
            state.core.granted()
        };
        self.hand_over(grants);
    }

    fn show_limit(&self, core: &Core, upstream: usize, metrics: &AutoMetrics) {
        if let Some(auto) = core.auto_limit(upstream) {
            metrics.show(auto);
            self.fleet.limited(upstream, auto.limit(), auto.reason().label());
        }
    }

    /// Hands over slots without the lock. If a request does not wait any more, its slot comes back and goes to the next
    /// request.
    fn hand_over(self: &Arc<Shared>, grants: Vec<Grant<oneshot::Sender<Slot>>>) {
        for Grant { lease, grant, .. } in grants {
            drop(grant.send(Slot::of(self.clone(), lease)));
        }
    }

    /// Limits the streams of a caller beside its terms. Returns the number of its streams.
    pub(super) fn cap(self: &Arc<Shared>, caller: &str, cap: Option<usize>) -> usize {
        let mut running = 0;
        self.act(|core, now| running = core.cap(now, caller, cap, &*self.fleet));
        running
    }

    /// Removes a request from the queue.
    pub(super) fn leave(self: &Arc<Shared>, ticket: Ticket) {
        self.act(|core, now| core.leave(now, ticket));
    }

    /// Returns the waiting requests: the number of each, its position from 1, and its expected wait.
    pub(super) fn line(&self) -> Vec<(u64, usize, Option<Duration>)> {
        let state = self.state();
        let line = state.core.line();
        line.iter().map(|place| (place.want.id, place.position, place.wait)).collect()
    }

    /// Returns the slots of each upstream, and the number of waiting requests.
    pub(super) fn counts(&self) -> (Vec<SlotCounts>, usize) {
        let state = self.state();
        let each = self.running.iter().zip(state.core.lanes()).map(|(running, (limit, releasing))| {
            let busy = running.load(Relaxed);
            SlotCounts { free: limit.map(|limit| limit.saturating_sub(busy)), busy, releasing }
        });
        (each.collect(), state.core.waiting())
    }

    /// The recent mean wait.
    pub(super) fn mean_wait(&self) -> Duration {
        self.state().core.mean_wait()
    }

    /// The number of waiting requests.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().core.waiting()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, Granting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
