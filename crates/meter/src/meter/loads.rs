//! Detects loads of a model, from the models that its upstream has in memory and from the time that requests wait.
//!
//! `load_duration` alone does not show a load. It includes the time in which Ollama looks for the loaded model: 0.2 s
//! for one stream of Ollama 0.12, over a second for 64 at once, a millisecond since 0.30. In addition, all requests
//! that wait for one load report it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use prometheus::IntCounter;

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
    count: Arc<IntCounter>,
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
    /// The span in which the model came into memory, if no request has reported that load yet.
    appeared: Option<Span>,
}

impl Loads {
    pub(super) fn new(count: Arc<IntCounter>, is_shared: bool) -> Arc<Loads> {
        let (began, answered) = (Instant::now(), AtomicU64::new(0));
        Arc::new(Loads { count, is_shared, began, answered, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, LoadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is sent to the upstream now. `memory`: whether the upstream had the model in memory, and when it was
    /// asked. `pushed`: when another model was last loaded there, which may have evicted this one.
    pub(super) fn wait(
        self: &Arc<Self>,
        now: Instant,
        memory: Option<(bool, Instant)>,
        pushed: Option<Instant>,
    ) -> Waiter {
        let mut state = self.state();
        let is_alone = state.running == 0 && !self.is_shared;
        state.running += 1;
        state.requests += 1;
        let answered = match self.answered.load(Relaxed) {
            0 => None,
            _ if self.is_shared => None,
            nanos => Some((true, self.began + Duration::from_nanos(nanos))),
        };
        let newest = memory.into_iter().chain(answered).max_by_key(|(_, at)| *at);
        let whereabouts = match newest.filter(|(_, at)| now.saturating_duration_since(*at) <= FRESH) {
            Some((false, _)) => Whereabouts::Absent,
            Some((true, at)) if pushed.is_none_or(|pushed| pushed < at) => Whereabouts::Present,
            _ => Whereabouts::Unknown,
        };
        let number = is_alone.then_some(state.requests);
        drop(state);
        Waiter { loads: self.clone(), from: now, whereabouts, number }
    }

    /// Notes that the model is in memory, because it has just answered.
    pub(super) fn answered(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.began).as_nanos();
        self.answered.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX), Relaxed);
    }

    /// Notes that the model came into memory within this span, or came again with another context.
    pub(super) fn appeared(&self, span: Span) {
        let mut state = self.state();
        if state.last.is_none_or(|last| !last.overlaps(span)) {
            state.appeared = Some(span);
        }
    }

    /// Counts a load that was seen in memory, once no request can report it more exactly: its client did not use the
    /// sidecar, its dialect reports no durations, or its answer takes long.
    pub(super) fn settle(&self, now: Instant) {
        let mut state = self.state();
        let is_due = |span: &Span| state.running == 0 || now.saturating_duration_since(span.to) > FRESH;
        if let Some(span) = state.appeared.filter(is_due) {
            self.count(&mut state, span);
        }
    }

    /// Returns the end of the newest known load.
    pub(super) fn last(&self) -> Option<Instant> {
        let state = self.state();
        state.last.into_iter().chain(state.appeared).map(|span| span.to).max()
    }

    fn count(&self, state: &mut LoadState, span: Span) {
        self.count.inc();
        state.last = Some(span);
        state.appeared = state.appeared.filter(|appeared| !appeared.overlaps(span));
    }

    /// Notes how long a request waited for the model, within a span.
    fn waited(&self, waited: Duration, span: Span, whereabouts: Whereabouts, is_alone: bool) {
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
        } else if !is_known {
            self.count(&mut state, span);
        }
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
}

impl Waiter {
    /// Moves the request to a model with a label of its own.
    pub(super) fn moves_to(&mut self, loads: &Arc<Loads>) {
        if Arc::ptr_eq(&self.loads, loads) {
            return;
        }
        let mut moved = loads.wait(self.from, None, None);
        moved.whereabouts = self.whereabouts;
        *self = moved;
    }

    /// Notes how long the request waited for the model, as the answer at `answered` reported. Ollama's clock runs
    /// while the body is sent; its last byte left at `sent`.
    pub(super) fn told(&self, load: Duration, sent: Instant, answered: Instant) {
        let waited = load.saturating_sub(sent.saturating_duration_since(self.from));
        let is_alone = self.number == Some(self.loads.state().requests);
        // The load ended between the end of the wait, had it begun at once, and the answer.
        let to = self.from.checked_add(waited).map_or(answered, |earliest| earliest.max(answered));
        self.loads.waited(waited, Span { from: self.from, to }, self.whereabouts, is_alone);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.loads.state().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Requests to one model, with a clock that the test sets.
    struct Bench {
        loads: Arc<Loads>,
        began: Instant,
    }

    fn bench() -> Bench {
        // Far enough from the start, so that older knowledge can exist.
        let began = Instant::now() + 100 * FRESH;
        Bench { loads: Loads::new(Arc::new(crate::metric::int_counter()), false), began }
    }

    impl Bench {
        fn at(&self, millis: u32) -> Instant {
            self.began + millis * MS
        }

        /// Sends a request for each of `waits` at the time `at`. The request waits that long for the model.
        fn burst(&self, at: u32, memory: Option<bool>, waits: impl IntoIterator<Item = u32>) {
            let memory = memory.map(|is_there| (is_there, self.at(at)));
            let waits: Vec<_> =
                waits.into_iter().map(|wait| (self.loads.wait(self.at(at), memory, None), wait)).collect();
            for (waiter, wait) in waits {
                waiter.told(wait * MS, self.began, self.at(at + wait));
            }
        }

        fn counted(&self) -> u64 {
            self.loads.count.get()
        }
    }

    #[test]
    fn load_durations_of_concurrent_streams_of_loaded_model_are_no_loads() {
        let bench = bench();
        for at in 0..10 {
            bench.burst(at * 2_000, Some(true), (0..32).map(|wait| 500 + wait * 20));
        }
        assert_eq!(bench.counted(), 0);
        // Only the answers of the model so far show that it is in memory.
        bench.loads.answered(bench.at(20_000));
        bench.burst(21_000, None, (0..32).map(|wait| 500 + wait * 20));
        assert_eq!(bench.counted(), 0);
    }

    #[test]
    fn load_with_many_waiting_requests_counts_once() {
        let bench = bench();
        bench.burst(0, Some(false), (0..32).map(|late| 1_500 + late));
        assert_eq!(bench.counted(), 1);
        bench.burst(10_000, Some(false), [400, 390]);
        assert_eq!(bench.counted(), 2, "a quick one");
        bench.burst(20_000, Some(false), [5, 7]);
        assert_eq!(bench.counted(), 2, "somebody else had it loaded");
    }

    #[test]
    fn load_is_counted_for_unusual_wait_of_lone_request() {
        let bench = bench();
        for (at, wait, counted) in
            [(0, 200, 0), (1_000, 210, 0), (2_000, 580, 0), (3_000, 1_500, 1), (9_000, 200, 1)]
        {
            bench.burst(at, Some(true), [wait]);
            assert_eq!(bench.counted(), counted, "{wait} ms at {at}");
        }
        // Since 0.30, a request for a loaded model waits a millisecond.
        let bench = self::bench();
        bench.burst(0, None, [1]);
        bench.burst(1_000, None, [300]);
        assert_eq!(bench.counted(), 1);
    }

    #[test]
    fn load_of_possibly_evicted_model_is_judged_by_its_wait() {
        let bench = bench();
        bench.burst(0, Some(true), [200]);
        let (first, second) = (
            bench.loads.wait(bench.at(1_000), Some((true, bench.at(900))), Some(bench.at(950))),
            bench.loads.wait(bench.at(1_000), Some((true, bench.at(900))), Some(bench.at(950))),
        );
        first.told(900 * MS, bench.began, bench.at(1_900));
        second.told(890 * MS, bench.began, bench.at(1_890));
        assert_eq!(bench.counted(), 1);
    }

    #[test]
    fn load_state_that_is_too_old_is_unknown() {
        let bench = bench();
        let waiter = bench.loads.wait(bench.at(60_000), Some((true, bench.at(0))), None);
        assert_eq!(waiter.whereabouts, Whereabouts::Unknown);
        drop(waiter);
        bench.loads.answered(bench.at(59_000));
        let waiter = bench.loads.wait(bench.at(60_000), Some((false, bench.at(58_000))), None);
        assert_eq!(waiter.whereabouts, Whereabouts::Present, "it answered since");
    }

    #[test]
    fn load_seen_in_memory_after_response_is_not_counted_again() {
        let bench = bench();
        // The request reached the upstream late: its wait was over at 1,300 and not at 800.
        let waiter = bench.loads.wait(bench.at(0), Some((false, bench.at(0))), None);
        waiter.told(800 * MS, bench.began, bench.at(1_400));
        drop(waiter);
        bench.loads.appeared(Span { from: bench.at(1_200), to: bench.at(1_500) });
        bench.loads.settle(bench.at(1_500));
        assert_eq!(bench.counted(), 1);
    }

    #[test]
    fn upload_time_is_no_load() {
        let bench = bench();
        let waiter = bench.loads.wait(bench.at(0), None, None);
        waiter.told(9_000 * MS, bench.at(8_990), bench.at(9_100));
        assert_eq!(bench.counted(), 0);
    }

    #[test]
    fn load_that_no_response_reports_is_counted_when_seen_in_memory() {
        let bench = bench();
        let seen = |from, to| bench.loads.appeared(Span { from: bench.at(from), to: bench.at(to) });
        seen(0, 5_000);
        bench.loads.settle(bench.at(5_000));
        assert_eq!(bench.counted(), 1, "no running request can report it");
        // A running request may still report the load. Here it reports the same load, later.
        let waiter = bench.loads.wait(bench.at(31_000), Some((false, bench.at(30_000))), None);
        seen(30_000, 35_000);
        bench.loads.settle(bench.at(35_000));
        assert_eq!(bench.counted(), 1);
        waiter.told(2_000 * MS, bench.began, bench.at(33_000));
        bench.loads.settle(bench.at(40_000));
        assert_eq!(bench.counted(), 2);
        // A request that runs longer reports it after it was counted.
        drop(waiter);
        let waiter = bench.loads.wait(bench.at(51_000), Some((false, bench.at(50_000))), None);
        seen(50_000, 55_000);
        bench.loads.settle(bench.at(100_000));
        assert_eq!(bench.counted(), 3);
        waiter.told(2_000 * MS, bench.began, bench.at(53_000));
        assert_eq!(bench.counted(), 3);
        // Two loads within one span between probes.
        drop(waiter);
        seen(120_000, 125_000);
        bench.burst(121_000, Some(false), [500]);
        bench.burst(123_000, Some(false), [500]);
        bench.loads.settle(bench.at(125_000));
        assert_eq!(bench.counted(), 5);
    }
}
