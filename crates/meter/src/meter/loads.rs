//! Detects loads of a model, from the models that its upstream has in memory and from the time that requests wait.
//!
//! `load_duration` alone does not show a load. It includes the time in which Ollama looks for the loaded model: 0.2 s
//! for one stream of Ollama 0.12, over a second for 64 at once, a millisecond since 0.30. In addition, all requests
//! that wait for one load report it.

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use prometheus::IntCounter;

use super::cause::{Circumstances, Difference, Kept, LoadCause, ModelLoad, Order, Pushed, Seen, Turn};

/// A request that waited no longer than this did not wait for a load.
const LEAST: Duration = Duration::from_millis(100);
/// The same for a request that may have found the model in memory, if the usual wait is unknown.
const LEAST_UNKNOWN: Duration = Duration::from_millis(500);
/// The same if the usual wait is known.
const LEAST_KNOWN: Duration = Duration::from_millis(250);
/// A wait of this many times the usual one is not chance: the longest of 32 waits at once was three times the wait of
/// one.
const UNUSUAL: u32 = 3;
/// Older knowledge may be wrong.
pub(super) const FRESH: Duration = Duration::from_secs(30);
/// The model that a request loads again was in memory at most this long before, by the lists that are read.
const RELOAD: Duration = Duration::from_secs(15);
/// The weight of the newest request in the mean, which is the usual wait. The mean follows a change of load.
const WEIGHT: f64 = 0.125;
/// A longer wait is never taken as usual.
const MOST_USUAL: Duration = Duration::from_secs(60);

/// Whether a model was in memory when a request was sent, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Not in memory.
    Absent,
    /// In memory.
    Present,
    Unknown,
}

/// The time from a start to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Instant,
    pub(super) to: Instant,
}

impl Span {
    fn overlaps(self, other: Span) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// The loads of one model at one upstream.
#[derive(Debug)]
pub(super) struct Loads {
    /// By [`LoadCause::index`].
    counts: [Arc<IntCounter>; LoadCause::ALL.len()],
    /// Whether the label stands for several models. The loads of one of them then do not describe the others.
    is_shared: bool,
    began: Instant,
    /// The time at which the model last answered, in nanoseconds after `began`. 0: never. Running streams set it
    /// without a lock.
    answered: AtomicU64,
    state: Mutex<LoadState>,
}

#[derive(Debug, Default)]
struct LoadState {
    /// The requests that have not ended.
    running: usize,
    /// The requests so far.
    requests: u64,
    /// The seconds for which requests usually wait for the loaded model.
    usual: Option<f64>,
    /// The newest load that was counted.
    last: Option<Span>,
    /// Whether that load was counted because it was seen in memory, and no request has reported it since.
    is_unreported: bool,
    /// The span in which the model came into memory, and why, if no request has reported that load yet.
    appeared: Option<(Span, LoadCause)>,
    /// The newest list of models in memory that contained it.
    listed: Option<Seen>,
    /// The time at which the upstream last did not answer.
    lost: Option<Instant>,
    /// The newest request.
    newest: Option<Arc<Order>>,
    /// The end of the newest request that has ended.
    kept: Option<Kept>,
    /// The same when the first of the running requests was sent. A model that is in use does not expire.
    kept_when_idle: Option<Kept>,
    /// The newest change of options, until a load is counted or an answer without a load shows that it caused none.
    turn: Option<Turn>,
}

impl LoadState {
    /// Notes a request.
    fn order(&mut self, now: Instant, order: &Arc<Order>) {
        if self.running == 0 {
            self.kept_when_idle = self.kept.clone();
        }
        let earlier = self.newest.replace(order.clone());
        if let Some(from) = earlier.filter(|from| order.differs(from).is_some()) {
            self.turn = Some(Turn { at: now, from, to: order.clone() });
        }
    }

    /// Returns when the model was last known to be in memory. `answered`: when it last answered.
    fn seen(&self, answered: Option<Instant>) -> Option<Seen> {
        let at = answered.into_iter().chain(self.listed.map(|seen| seen.at)).max();
        let at = at.or(self.last.map(|span| span.to))?;
        // While a model is in use, the list shows an expiry that is over.
        let expires = self.listed.and_then(|seen| seen.expires).filter(|expires| *expires > at);
        Some(Seen { at, expires })
    }
}

impl Loads {
    pub(super) fn new(counts: [Arc<IntCounter>; LoadCause::ALL.len()], is_shared: bool) -> Arc<Loads> {
        let (began, answered) = (Instant::now(), AtomicU64::new(0));
        Arc::new(Loads { counts, is_shared, began, answered, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, LoadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is sent to the upstream now. `memory`: whether the upstream had the model in memory, and when it was
    /// asked. `pushed`: the other model that was last loaded there, which may have evicted this one.
    pub(super) fn wait(
        self: &Arc<Self>,
        now: Instant,
        order: &Arc<Order>,
        memory: Option<(bool, Instant)>,
        pushed: Option<Pushed>,
    ) -> Waiter {
        let mut state = self.state();
        state.order(now, order);
        let seen = state.seen(self.last_answer());
        let (lost, kept) = (state.lost, state.kept_when_idle.clone());
        let is_alone = state.running == 0 && !self.is_shared;
        state.running += 1;
        state.requests += 1;
        let answered = self.last_answer().filter(|_| !self.is_shared).map(|at| (true, at));
        let newest = memory.into_iter().chain(answered).max_by_key(|(_, at)| *at);
        let whereabouts = match newest.filter(|(_, at)| now.saturating_duration_since(*at) <= FRESH) {
            Some((false, _)) => Whereabouts::Absent,
            Some((true, at)) if pushed.as_ref().is_none_or(|pushed| pushed.at < at) => Whereabouts::Present,
            _ => Whereabouts::Unknown,
        };
        let number = is_alone.then_some(state.requests);
        drop(state);
        let order = order.clone();
        Waiter {
            loads: self.clone(),
            from: now,
            whereabouts,
            number,
            order,
            kept,
            seen,
            lost,
            pushed,
            context: None,
            #[cfg(test)]
            ended: None,
        }
    }

    fn last_answer(&self) -> Option<Instant> {
        let nanos = Some(self.answered.load(Relaxed)).filter(|nanos| *nanos > 0)?;
        Some(self.began + Duration::from_nanos(nanos))
    }

    /// Notes that the model is in memory, because it has just answered.
    pub(super) fn answered(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.began).as_nanos();
        self.answered.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX), Relaxed);
    }

    /// Notes that the model came into memory within this span, or came again with another context.
    pub(super) fn appeared(&self, span: Span, has_other_context: bool, pushed: Option<&Pushed>) {
        let mut state = self.state();
        if state.last.is_none_or(|last| !last.overlaps(span)) {
            // The answers within the span come from the load itself.
            let seen = state.seen(self.last_answer().filter(|at| *at < span.from));
            // While Ollama loads a model again, its list does not contain the model.
            let was_there = |turn: &&Turn| seen.is_some_and(|seen| turn.at <= seen.at + RELOAD);
            let turn = state.turn.as_ref().filter(|turn| turn.at < span.to).filter(was_there);
            let circumstances = Circumstances {
                now: span.to,
                seen,
                is_absent: !has_other_context && turn.is_none(),
                lost: state.lost,
                has_other_context,
                turn,
                pushed,
                kept: state.kept_when_idle.as_ref(),
            };
            let cause = circumstances.cause().0;
            state.appeared = Some((span, cause));
        }
    }

    /// Notes that the list of models in memory, which was requested at this time, contains the model.
    pub(super) fn listed(&self, seen: Seen) {
        self.state().listed = Some(seen);
    }

    /// Notes that the upstream does not answer, so that it may have ended.
    pub(super) fn lost(&self, now: Instant) {
        self.state().lost = Some(now);
    }

    /// Counts a load that was seen in memory, once no request can report it more exactly: its client did not use the
    /// sidecar, its dialect reports no durations, or its answer takes long.
    pub(super) fn settle(&self, now: Instant) {
        let mut state = self.state();
        let is_due = |(span, _): &(Span, LoadCause)| {
            state.running == 0 || now.saturating_duration_since(span.to) > FRESH
        };
        if let Some((span, cause)) = state.appeared.filter(is_due) {
            self.count(&mut state, span, cause);
            state.is_unreported = true;
        }
    }

    /// Returns the end of the newest known load.
    pub(super) fn last(&self) -> Option<Instant> {
        let state = self.state();
        state.last.into_iter().chain(state.appeared.map(|(span, _)| span)).map(|span| span.to).max()
    }

    /// Returns the caller of the newest request.
    pub(super) fn newest_caller(&self) -> Option<Arc<str>> {
        self.state().newest.as_ref()?.caller.clone()
    }

    fn count(&self, state: &mut LoadState, span: Span, cause: LoadCause) {
        self.counts[cause.index()].inc();
        state.last = Some(span);
        state.is_unreported = false;
        state.appeared = state.appeared.filter(|(appeared, _)| !appeared.overlaps(span));
    }

    /// Notes how long a request waited for the model, within a span. Returns the load if it is one that no request
    /// has reported yet.
    fn waited(&self, waiter: &Waiter, waited: Duration, span: Span, is_alone: bool) -> Option<ModelLoad> {
        let whereabouts = waiter.whereabouts;
        let mut state = self.state();
        let usual = state.usual.filter(|_| !self.is_shared).map(Duration::from_secs_f64);
        let least = match (whereabouts, usual) {
            (Whereabouts::Absent, None) => LEAST,
            (Whereabouts::Absent, Some(usual)) => usual.saturating_mul(2).clamp(LEAST, LEAST_UNKNOWN),
            // If other requests run, the wait includes them. Ollama does not load a model again while it is in use.
            (Whereabouts::Present, _) if !is_alone => Duration::MAX,
            (_, None) => LEAST_UNKNOWN,
            (_, Some(usual)) => {
                usual.saturating_mul(UNUSUAL).max(if is_alone { LEAST_KNOWN } else { LEAST_UNKNOWN })
            }
        };
        // All requests that wait for one load report it.
        let is_known = state.last.is_some_and(|last| last.overlaps(span));
        if waited <= least {
            let seconds = waited.min(MOST_USUAL).as_secs_f64();
            state.usual = Some(state.usual.map_or(seconds, |usual| usual + WEIGHT * (seconds - usual)));
            state.turn = state.turn.take().filter(|turn| turn.at > span.from);
            return None;
        }
        if is_known && !state.is_unreported {
            return None;
        }
        let turn = state.turn.take().filter(|turn| turn.at < span.to);
        let load = waiter.load(turn.as_ref());
        if is_known {
            state.is_unreported = false;
        } else {
            self.count(&mut state, span, load.cause);
        }
        Some(load)
    }
}

/// A request that is at an upstream, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiter {
    loads: Arc<Loads>,
    from: Instant,
    whereabouts: Whereabouts,
    /// The number of the request, if no other request was at the upstream when it was sent.
    number: Option<u64>,
    order: Arc<Order>,
    kept: Option<Kept>,
    /// The facts at the time at which the request was sent.
    seen: Option<Seen>,
    lost: Option<Instant>,
    pushed: Option<Pushed>,
    /// The context length with which the model was in memory.
    context: Option<u64>,
    /// The end in a test, whose clock is not the real one.
    #[cfg(test)]
    ended: Option<Instant>,
}

impl Waiter {
    /// Moves the request to a model with a label of its own.
    pub(super) fn moves_to(&mut self, loads: &Arc<Loads>) {
        if Arc::ptr_eq(&self.loads, loads) {
            return;
        }
        let mut moved = loads.wait(self.from, &self.order, None, self.pushed.clone());
        moved.whereabouts = self.whereabouts;
        moved.context = self.context;
        *self = moved;
    }

    /// Sets the context length with which the model is in memory when the request is sent.
    pub(super) fn finds_context(&mut self, context: Option<u64>) {
        self.context = context;
    }

    /// Returns the difference between the context that the request asks for and the one in memory.
    fn other_context(&self) -> Option<Difference> {
        let (before, now) = (self.context?, self.order.options.num_ctx?);
        let signed = |tokens| i64::try_from(tokens).ok();
        (before != now).then(|| Difference { option: "num_ctx", before: signed(before), now: signed(now) })
    }

    /// Describes the load that this request reports.
    fn load(&self, turn: Option<&Turn>) -> ModelLoad {
        let circumstances = Circumstances {
            now: self.from,
            seen: self.seen,
            is_absent: self.whereabouts == Whereabouts::Absent,
            lost: self.lost,
            has_other_context: self.other_context().is_some(),
            turn,
            pushed: self.pushed.as_ref(),
            kept: self.kept.as_ref(),
        };
        let (cause, difference) = circumstances.cause();
        let caller = |order: Option<&Order>| order.and_then(|order| order.caller.clone());
        let pushed = self.pushed.as_ref().filter(|_| cause == LoadCause::Evicted);
        let kept = self.kept.as_ref().filter(|_| cause == LoadCause::Expired);
        let turn = turn.filter(|_| difference.is_some());
        let (from, to) = (turn.map(|turn| &*turn.from), turn.map_or(&*self.order, |turn| &*turn.to));
        let difference = difference.or(self.other_context().filter(|_| cause == LoadCause::Context));
        ModelLoad {
            cause,
            caller: caller(Some(to)),
            earlier_caller: match (pushed, kept) {
                (Some(pushed), _) => pushed.caller.clone(),
                (None, Some(kept)) => caller(Some(&kept.order)),
                (None, None) => caller(from),
            },
            expired_after: kept.and_then(Kept::time),
            difference,
            evicted_by: pushed.map(|pushed| pushed.label.clone()),
        }
    }

    /// Notes how long the request waited for the model, as the answer at `answered` reported. Ollama's clock runs
    /// while the body is sent; its last byte left at `sent`.
    pub(super) fn told(&self, load: Duration, sent: Instant, answered: Instant) -> Option<ModelLoad> {
        let waited = load.saturating_sub(sent.saturating_duration_since(self.from));
        let is_alone = self.number == Some(self.loads.state().requests);
        // The load ended between the end of the wait, had it begun at once, and the answer.
        let to = self.from.checked_add(waited).map_or(answered, |earliest| earliest.max(answered));
        self.loads.waited(self, waited, Span { from: self.from, to }, is_alone)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.loads.state();
        state.running -= 1;
        let ended = Instant::now();
        #[cfg(test)]
        let ended = self.ended.unwrap_or(ended);
        state.kept = Some(Kept { ended, order: self.order.clone() });
    }
}
