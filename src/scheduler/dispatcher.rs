//! Assigns free slots to waiting requests. The module has no clock, no lock and no task: its caller passes the time in
//! and takes the grants out.
//!
//! Each upstream is a lane in which callers take turns by weighted fair queueing over slot time, one class of priority
//! after the other. A caller's virtual time at an upstream advances by the slot time of its requests there, divided by
//! its weight; the caller with the least is next. Virtual time is kept by upstream and class, because a caller that
//! uses one upstream a lot must not starve at another one.

mod caller;
mod callers;
mod fleet;
mod lane;
mod line;
#[cfg(test)]
mod model;
mod queue;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use super::{
    auto::{AutoLimit, Occupancy, StreamCost},
    mean::Mean,
};
use callers::Callers;
use lane::{Lane, Next, Seat, Turn, units};

pub use caller::Terms;
pub use fleet::{Candidate, Fleet, Free};
pub use lane::Outlook;

/// A granted slot. [`Dispatcher::free`] and [`Dispatcher::end`] take it back.
#[derive(Debug)]
pub(super) struct Lease {
    caller: usize,
    pub(super) upstream: usize,
    class: usize,
    since: Duration,
    charged: u64,
    /// The request is the trial of a half-open breaker.
    pub(super) is_trial: bool,
    /// `None`: the limit of the upstream is fixed.
    seat: Option<Seat>,
}

impl Lease {
    /// Whether the limit of the upstream is found from its streams. If so, whether this one runs above the limit.
    pub(super) fn is_probe(&self) -> Option<bool> {
        self.seat.map(|seat| seat.is_probe)
    }
}

/// A slot for a request that has waited.
#[derive(Debug)]
pub(super) struct Grant<G> {
    pub(super) lease: Lease,
    pub(super) grant: G,
}

/// A waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    caller: usize,
    number: u64,
}

/// The wish of a request.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) caller: &'a str,
    pub(super) terms: Terms,
    pub(super) candidates: Box<[Candidate]>,
}

/// Settings of a dispatcher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// The most waiting requests.
    pub(super) size: usize,
    /// The wait after which a request rises by one class.
    pub(super) aging: Duration,
    /// Whether callers take turns. Otherwise requests are served in the order of arrival.
    pub(super) is_fair: bool,
}

/// All upstreams, all callers and all waiting requests. `G` is the sender of a waiting request's grant.
#[derive(Debug)]
pub(super) struct Dispatcher<W, G> {
    settings: Settings,
    lanes: Vec<Lane>,
    callers: Callers<W, G>,
    /// The times at which a request gets another candidate because its patience ends, with its caller.
    due: BTreeSet<(Duration, usize)>,
    grants: Vec<Grant<G>>,
    free: Vec<Free>,
    numbers: u64,
    waiting: usize,
    mean_wait: Mean,
}

impl<W, G> Dispatcher<W, G> {
    /// Creates a dispatcher of upstreams with these limits.
    pub(super) fn new(
        settings: Settings,
        limits: impl IntoIterator<Item = Option<usize>>,
    ) -> Dispatcher<W, G> {
        let lanes: Vec<_> = limits.into_iter().map(Lane::new).collect();
        Dispatcher {
            settings,
            callers: Callers::default(),
            lanes,
            due: BTreeSet::new(),
            grants: Vec::new(),
            free: Vec::new(),
            numbers: 0,
            waiting: 0,
            mean_wait: Mean::default(),
        }
    }

    /// Takes a free slot for an arriving request. Before that, each waiting request that fits a free slot gets it.
    pub(super) fn take(
        &mut self,
        now: Duration,
        ask: &Ask<'_>,
        want: &W,
        fleet: &dyn Fleet<W>,
    ) -> Option<Lease> {
        let caller = self.callers.enter(ask.caller, ask.terms, self.lanes.len());
        if self.callers[caller].terms != ask.terms {
            // The settings of its key were changed.
            self.callers[caller].terms = ask.terms;
            self.relist(now, caller);
        }
        self.tick(now, fleet);
        if self.callers[caller].is_at_limit() {
            return None;
        }
        self.free.clear();
        for candidate in ask.candidates.iter().filter(|candidate| candidate.patience.is_zero()) {
            let lane = &self.lanes[candidate.upstream];
            if lane.is_free() {
                self.free.push(Free { upstream: candidate.upstream, taken: lane.taken });
            }
        }
        if self.free.is_empty() {
            return None;
        }
        let upstream = self.free[fleet.choose(want, &self.free)].upstream;
        let mut lease = self.grant(now, caller, upstream, ask.terms.priority.class());
        lease.is_trial = fleet.granted(upstream, want);
        self.relist(now, caller);
        if lease.is_trial {
            self.refresh(now, fleet);
        }
        Some(lease)
    }

    /// Frees the slot of a request that the upstream has finished. The caller's stream continues. Returns the use of the
    /// slots of an upstream whose limit is found.
    pub(super) fn free(&mut self, now: Duration, lease: &Lease, fleet: &dyn Fleet<W>) -> Option<Occupancy> {
        let held = now.saturating_sub(lease.since).as_secs_f64();
        let lane = &mut self.lanes[lease.upstream];
        let seen = lane.give(now, lease.since, lease.seat);
        lane.releasing += 1;
        lane.slot_time.observe(held);
        let caller = &mut self.callers[lease.caller];
        let tag = &mut caller.standings[lease.upstream].tags[lease.class];
        *tag = tag.saturating_add(units(held, caller.terms.weight)).saturating_sub(lease.charged);
        self.relist(now, lease.caller);
        self.tick(now, fleet);
        seen
    }

    /// Finds the limit of an upstream from its streams, from now on.
    pub(super) fn find_limit(&mut self, upstream: usize, floor: Option<u32>) {
        self.lanes[upstream].find_limit(floor);
    }

    /// The limit of an upstream whose limit is found.
    pub(super) fn auto_limit(&self, upstream: usize) -> Option<&AutoLimit> {
        self.lanes[upstream].auto.as_ref()
    }

    /// Takes in what a stream that ended completely cost. `None`: a stream above the limit did not end completely.
    pub(super) fn learn(
        &mut self,
        now: Duration,
        upstream: usize,
        ended: Option<(&Occupancy, StreamCost)>,
        fleet: &dyn Fleet<W>,
    ) {
        let lane = &mut self.lanes[upstream];
        if let Some(auto) = &mut lane.auto {
            match ended {
                Some((seen, cost)) => auto.ended(now, seen, cost),
                None => auto.abandoned(),
            }
        }
        lane.set_limit();
        self.tick(now, fleet);
    }

    /// Notes the end of a stream of the caller.
    pub(super) fn end(&mut self, now: Duration, lease: &Lease, fleet: &dyn Fleet<W>) {
        self.callers[lease.caller].running -= 1;
        self.lanes[lease.upstream].releasing -= 1;
        self.relist(now, lease.caller);
        self.tick(now, fleet);
    }

    /// Limits the streams of a caller beside its terms; `None`: no such limit. Returns the number of its streams. From
    /// now on, none begins above the limit.
    pub(super) fn cap(
        &mut self,
        now: Duration,
        name: &str,
        cap: Option<usize>,
        fleet: &dyn Fleet<W>,
    ) -> usize {
        let caller = self.callers.enter(name, Terms::default(), self.lanes.len());
        if std::mem::replace(&mut self.callers[caller].cap, cap) != cap {
            self.relist(now, caller);
            self.tick(now, fleet);
        }
        self.callers[caller].running
    }

    /// Changes the number of slots of an upstream.
    #[cfg(test)]
    pub(super) fn set_limit(
        &mut self,
        now: Duration,
        upstream: usize,
        limit: Option<usize>,
        fleet: &dyn Fleet<W>,
    ) {
        self.lanes[upstream].limit = limit;
        self.tick(now, fleet);
    }

    /// Takes in a change of the health or the models of an upstream.
    pub(super) fn refresh(&mut self, now: Duration, fleet: &dyn Fleet<W>) {
        self.regroup(now, fleet);
        self.tick(now, fleet);
    }

    /// Lets the time take effect: candidates whose patience has ended, and aging.
    pub(super) fn tick(&mut self, now: Duration, fleet: &dyn Fleet<W>) {
        while let Some(&(due, caller)) = self.due.first()
            && due <= now
        {
            self.relist(now, caller);
        }
        self.dispatch(now, fleet);
        for upstream in 0..self.lanes.len() {
            self.settle(now, upstream);
        }
    }

    /// Notes whether a slot of the upstream is idle.
    fn settle(&mut self, now: Duration, upstream: usize) {
        for caller in self.lanes[upstream].settle(now) {
            self.relist(now, caller);
        }
    }

    /// Gives each free slot to the next request. If several upstreams have a free slot, the request that has waited
    /// longest is served first. Otherwise the first upstream would use up a caller's own limit again and again.
    fn dispatch(&mut self, now: Duration, fleet: &dyn Fleet<W>) {
        let aging = self.settings.aging;
        let first = |lanes: &[Lane]| {
            let next = lanes.iter().filter_map(|lane| lane.next(now, aging));
            next.min_by_key(|next| (next.rank, next.turn.number))
        };
        while let Some(Next { class, turn, .. }) = first(&self.lanes) {
            let (group, at) =
                self.callers[turn.caller].find(turn.number).expect("a turn belongs to a waiting request");
            debug_assert_eq!(at, 0, "the oldest request of a group has the turns");
            self.free.clear();
            // At other upstreams the free slot belongs to another caller's request.
            for candidate in &self.callers[turn.caller].groups[group].candidates {
                let lane = &self.lanes[candidate.upstream];
                if lane.next(now, aging).is_some_and(|next| next.turn.number == turn.number) {
                    self.free.push(Free { upstream: candidate.upstream, taken: lane.taken });
                }
            }
            let want = &self.callers[turn.caller].groups[group].waiters[0].want;
            let upstream = self.free[fleet.choose(want, &self.free)].upstream;
            let waiter = self.remove(turn.caller, group, 0);
            self.lanes[upstream].dispatched(now, aging, class);
            let mut lease = self.grant(now, turn.caller, upstream, class);
            lease.is_trial = fleet.granted(upstream, &waiter.want);
            self.relist(now, turn.caller);
            self.mean_wait.observe(now.saturating_sub(waiter.arrived).as_secs_f64());
            if lease.is_trial {
                self.regroup(now, fleet);
            }
            self.grants.push(Grant { lease, grant: waiter.grant });
        }
    }

    fn grant(&mut self, now: Duration, id: usize, upstream: usize, class: usize) -> Lease {
        let (lane, caller) = (&mut self.lanes[upstream], &mut self.callers[id]);
        let seat = lane.take(now);
        caller.running += 1;
        let standing = &mut caller.standings[upstream];
        let charged = lane.charge(caller.terms.weight);
        let clock = &mut lane.classes[class].clock;
        let start = standing.enter(class, *clock);
        *clock = start.max(*clock);
        standing.tags[class] = start.saturating_add(charged);
        if !lane.is_free() {
            self.settle(now, upstream);
        }
        Lease { caller: id, upstream, class, since: now, charged, is_trial: false, seat }
    }

    /// Brings the turns of a caller's requests up to date.
    fn relist(&mut self, now: Duration, id: usize) {
        let caller = &mut self.callers[id];
        let (is_at_limit, class) = (caller.is_at_limit(), caller.terms.priority.class());
        let mut due: Option<Duration> = None;
        for group in &mut caller.groups {
            for (candidate, turn) in group.candidates.iter().zip(&mut group.turns) {
                let lane = &mut self.lanes[candidate.upstream];
                let standing = &mut caller.standings[candidate.upstream];
                let fits = group.waiters.front().filter(|head| {
                    let from = lane.fits_from(now, head.arrived, candidate.patience);
                    if from > now {
                        due = Some(due.map_or(from, |due| due.min(from)));
                    } else if !candidate.patience.is_zero() {
                        lane.impatient.insert(id);
                    }
                    from <= now && !is_at_limit
                });
                let wanted = fits.map(|head| {
                    let start = standing.enter(class, lane.classes[class].clock);
                    let tag = if self.settings.is_fair { start } else { 0 };
                    (class, Turn { tag, number: head.number, caller: id, arrived: head.arrived })
                });
                if *turn == wanted {
                    continue;
                }
                if let Some((class, old)) = std::mem::replace(turn, wanted) {
                    lane.remove(class, &old);
                    standing.turns[class] -= 1;
                }
                if let Some((class, new)) = wanted {
                    lane.insert(class, new);
                    standing.turns[class] += 1;
                }
            }
        }
        caller.groups.retain(|group| !group.waiters.is_empty());
        if caller.due != due {
            if let Some(old) = std::mem::replace(&mut caller.due, due) {
                self.due.remove(&(old, id));
            }
            self.due.extend(due.map(|due| (due, id)));
        }
    }

    /// Returns the slots that were granted to waiting requests since the last call.
    pub(super) fn granted(&mut self) -> Vec<Grant<G>> {
        std::mem::take(&mut self.grants)
    }

    /// The number of waiting requests.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The taken slots of an upstream, and its limit.
    #[cfg(test)]
    pub(super) fn slots(&self, upstream: usize) -> (usize, Option<usize>) {
        (self.lanes[upstream].taken, self.lanes[upstream].limit)
    }

    /// The measured waits.
    pub(super) fn outlook(&self, now: Duration) -> Outlook<'_> {
        Outlook { lanes: Some(&self.lanes), now }
    }

    /// The recent mean wait.
    pub(super) fn mean_wait(&self) -> Duration {
        Duration::try_from_secs_f64(self.mean_wait.get().unwrap_or(0.0)).unwrap_or_default()
    }
}
