//! The order of waiting requests, and the choice of the next one.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{FairBy, Place, Wish};

/// The weight of the newest wait in the mean.
const NEWEST: f64 = 0.2;

/// The slots of all upstreams and the lines of requests that wait for them.
#[derive(Debug)]
pub(super) struct Lines {
    fair_by: FairBy,
    upstreams: Vec<Line>,
    /// The number of streams of each caller that has any.
    callers: HashMap<Box<str>, usize>,
    numbers: u64,
}

/// The slots of one upstream, and the callers with waiting requests, the next in turn first.
#[derive(Debug)]
struct Line {
    places: Option<usize>,
    taken: usize,
    turns: VecDeque<Turn>,
    waiting: usize,
    mean_wait: f64,
}

/// The waiting requests of one caller, at least one.
#[derive(Debug)]
struct Turn {
    key: Box<str>,
    waiters: VecDeque<Waiter>,
}

/// One waiting request.
#[derive(Debug)]
pub(super) struct Waiter {
    number: u64,
    pub(super) caller: Box<str>,
    pub(super) max_streams: Option<usize>,
    pub(super) grant: oneshot::Sender<Place>,
}

impl Lines {
    pub(super) fn new(places: impl Iterator<Item = Option<usize>>, fair_by: FairBy) -> Lines {
        let line = |places| Line { places, taken: 0, turns: VecDeque::new(), waiting: 0, mean_wait: 0.0 };
        Lines { fair_by, upstreams: places.map(line).collect(), callers: HashMap::new(), numbers: 0 }
    }

    /// Takes a slot if one is free. A waiting request cannot use the free slot, since it would have got it already.
    pub(super) fn take(&mut self, wish: Wish<'_>) -> bool {
        let is_free = self.upstreams[wish.upstream].is_free() && self.may_have(wish.caller, wish.max_streams);
        if is_free {
            self.grant(wish.upstream, wish.caller);
        }
        is_free
    }

    pub(super) fn waiting(&self, upstream: usize) -> usize {
        self.upstreams[upstream].waiting
    }

    /// The key of a caller's turn. Without fairness, all callers share one.
    fn key<'a>(&self, caller: &'a str) -> &'a str {
        match self.fair_by {
            FairBy::Caller => caller,
            FairBy::None => "",
        }
    }

    /// Evicts the newest request of the caller with the most waiting requests, if that caller then still has at
    /// least as many as the caller that asks.
    pub(super) fn make_room(&mut self, wish: Wish<'_>) -> bool {
        let key = self.key(wish.caller);
        let line = &mut self.upstreams[wish.upstream];
        let own =
            line.turns.iter().find(|turn| turn.key.as_ref() == key).map_or(0, |turn| turn.waiters.len());
        let Some(longest) = line.turns.iter_mut().max_by_key(|turn| turn.waiters.len()) else { return false };
        if longest.waiters.len() < own + 2 {
            return false;
        }
        // Dropping the grant tells the request. It is not its caller's last one.
        longest.waiters.pop_back();
        line.waiting -= 1;
        true
    }

    /// Adds a request to the end of its caller's line and returns its number.
    pub(super) fn wait(&mut self, wish: Wish<'_>, grant: oneshot::Sender<Place>) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        let key: Box<str> = self.key(wish.caller).into();
        let waiter = Waiter { number, caller: wish.caller.into(), max_streams: wish.max_streams, grant };
        let line = &mut self.upstreams[wish.upstream];
        line.waiting += 1;
        match line.turns.iter_mut().find(|turn| turn.key == key) {
            Some(turn) => turn.waiters.push_back(waiter),
            None => line.turns.push_back(Turn { key, waiters: VecDeque::from([waiter]) }),
        }
        number
    }

    /// Removes a request from the line, if it is still there.
    pub(super) fn leave(&mut self, upstream: usize, number: u64) {
        let line = &mut self.upstreams[upstream];
        for place in 0..line.turns.len() {
            let waiters = &mut line.turns[place].waiters;
            let Some(at) = waiters.iter().position(|waiter| waiter.number == number) else { continue };
            waiters.remove(at);
            line.waiting -= 1;
            if line.turns[place].waiters.is_empty() {
                line.turns.remove(place);
            }
            return;
        }
    }

    /// Frees a slot of an upstream. Returns the requests that got a slot now, with their upstream.
    pub(super) fn free(&mut self, upstream: usize) -> Vec<(Waiter, usize)> {
        self.upstreams[upstream].taken -= 1;
        self.grants()
    }

    /// Ends a stream of a caller. Returns the requests that got a slot now: a request of this caller may proceed if
    /// its upstream has a free slot.
    pub(super) fn release(&mut self, caller: &str) -> Vec<(Waiter, usize)> {
        if let Some(count) = self.callers.get_mut(caller) {
            *count -= 1;
            if *count == 0 {
                self.callers.remove(caller);
            }
        }
        self.grants()
    }

    fn grants(&mut self) -> Vec<(Waiter, usize)> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Takes the next request that can have a free slot. If a request is next at several upstreams, the one that
    /// has waited longest is taken. Otherwise the first upstream would always use up a caller's limit, and the
    /// caller's requests for the others would starve.
    fn next(&mut self) -> Option<(Waiter, usize)> {
        let free = self.upstreams.iter().enumerate().filter(|(_, line)| line.is_free());
        let in_turn = free.filter_map(|(upstream, line)| {
            line.turns.iter().enumerate().find_map(|(place, turn)| {
                let can = |waiter: &Waiter| self.may_have(&waiter.caller, waiter.max_streams);
                let at = turn.waiters.iter().position(can)?;
                Some((turn.waiters[at].number, upstream, place, at))
            })
        });
        let (_, upstream, place, at) = in_turn.min()?;
        let line = &mut self.upstreams[upstream];
        let mut turn = line.turns.remove(place)?;
        let waiter = turn.waiters.remove(at)?;
        line.waiting -= 1;
        if !turn.waiters.is_empty() {
            // The caller's turn is over. Its next turn comes after all others.
            line.turns.push_back(turn);
        }
        self.grant(upstream, &waiter.caller);
        Some((waiter, upstream))
    }

    pub(super) fn waited(&mut self, upstream: usize, wait: Duration) {
        let mean = &mut self.upstreams[upstream].mean_wait;
        *mean += NEWEST * (wait.as_secs_f64() - *mean);
    }

    pub(super) fn mean_wait(&self, upstream: usize) -> Duration {
        Duration::from_secs_f64(self.upstreams[upstream].mean_wait.max(0.0))
    }

    fn may_have(&self, caller: &str, max_streams: Option<usize>) -> bool {
        max_streams.is_none_or(|most| self.callers.get(caller).copied().unwrap_or(0) < most)
    }

    fn grant(&mut self, upstream: usize, caller: &str) {
        self.upstreams[upstream].taken += 1;
        match self.callers.get_mut(caller) {
            Some(count) => *count += 1,
            None => {
                self.callers.insert(caller.into(), 1);
            }
        }
    }
}

impl Line {
    fn is_free(&self) -> bool {
        self.places.is_none_or(|places| self.taken < places)
    }
}
