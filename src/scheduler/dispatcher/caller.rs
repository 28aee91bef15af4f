//! One caller: its terms, its streams, and its waiting requests.

use std::{collections::VecDeque, time::Duration};

use super::{
    super::priority::{CLASSES, Priority},
    fleet::Candidate,
    lane::Turn,
};

/// The entitlements of a caller: its limit, weight and priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The most concurrent streams, at all upstreams together. `None`: no limit.
    pub max_streams: Option<usize>,
    /// Its share of slot time relative to other callers; 0 counts as 1.
    pub weight: u32,
    /// The priority of its requests.
    pub priority: Priority,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { max_streams: None, weight: 1, priority: Priority::Normal }
    }
}

/// A waiting request.
#[derive(Debug)]
pub(super) struct Waiter<W, G> {
    pub(super) number: u64,
    pub(super) arrived: Duration,
    pub(super) want: W,
    pub(super) grant: G,
}

/// The requests of one caller with the same candidates, oldest first.
#[derive(Debug)]
pub(super) struct Group<W, G> {
    pub(super) candidates: Box<[Candidate]>,
    /// The class and the turn of the oldest request at each candidate. `None`: it has no turn there.
    pub(super) turns: Box<[Option<(usize, Turn)>]>,
    pub(super) waiters: VecDeque<Waiter<W, G>>,
}

/// The position of a caller at an upstream, by class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Its virtual time.
    pub(super) tags: [u64; CLASSES],
    /// The number of its groups that have a turn there.
    pub(super) turns: [u32; CLASSES],
    /// Whether it had a turn before its groups were built again.
    pub(super) had_turn: [bool; CLASSES],
}

impl Standing {
    /// Returns the virtual time of a turn. A caller that had no turn cannot save up the time without requests.
    pub(super) fn enter(&mut self, class: usize, clock: u64) -> u64 {
        if self.turns[class] == 0 && !self.had_turn[class] {
            self.tags[class] = self.tags[class].max(clock);
        }
        self.tags[class]
    }
}

/// A caller.
#[derive(Debug)]
pub(super) struct CallerState<W, G> {
    pub(super) name: Box<str>,
    pub(super) terms: Terms,
    /// A limit on its streams beside that of its terms. It changes while requests wait.
    pub(super) cap: Option<usize>,
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) groups: Vec<Group<W, G>>,
    pub(super) standings: Box<[Standing]>,
    /// The time at which one of its requests gets another candidate.
    pub(super) due: Option<Duration>,
}

impl<W, G> CallerState<W, G> {
    pub(super) fn new(name: &str, terms: Terms, lanes: usize) -> CallerState<W, G> {
        CallerState {
            name: name.into(),
            terms,
            cap: None,
            running: 0,
            waiting: 0,
            groups: Vec::new(),
            standings: vec![Standing::default(); lanes].into(),
            due: None,
        }
    }

    /// Whether the caller can be forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting == 0 && self.cap.is_none()
    }

    /// Whether it has as many streams as its limit allows.
    pub(super) fn is_at_limit(&self) -> bool {
        [self.terms.max_streams, self.cap].into_iter().flatten().any(|most| self.running >= most)
    }

    /// Appends a request to the group with the same candidates.
    pub(super) fn push(&mut self, candidates: Box<[Candidate]>, waiter: Waiter<W, G>) {
        self.waiting += 1;
        match self.groups.iter_mut().find(|group| group.candidates == candidates) {
            Some(group) => group.waiters.push_back(waiter),
            None => {
                let turns = vec![None; candidates.len()].into();
                self.groups.push(Group { candidates, turns, waiters: VecDeque::from([waiter]) });
            }
        }
    }

    /// Returns the group and the position of a waiting request.
    pub(super) fn find(&self, number: u64) -> Option<(usize, usize)> {
        self.groups.iter().enumerate().find_map(|(group, one)| {
            let at = one.waiters.binary_search_by_key(&number, |waiter| waiter.number).ok()?;
            Some((group, at))
        })
    }

    /// Returns the number of its newest waiting request.
    pub(super) fn newest(&self) -> Option<u64> {
        self.groups.iter().filter_map(|group| group.waiters.back()).map(|waiter| waiter.number).max()
    }
}
