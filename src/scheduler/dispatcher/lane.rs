//! One upstream: its slots, and the requests that could take one, in the order of their turns.

use std::{collections::BTreeSet, time::Duration};

use super::super::{
    auto::{AutoLimit, Occupancy},
    mean::Mean,
    priority::{CLASSES, ranks},
};

/// The slot time in seconds that a request is charged before any slot time was measured.
const UNKNOWN: f64 = 1.0;
/// Units of virtual time per second of slot time at weight 1.
const UNITS: f64 = 1e9;
/// The shares of classes that have the same rank.
const SHARES: [u32; CLASSES] = [4, 2, 1];

/// The turn of the oldest of a caller's requests with the same candidates. The least turn is next: the caller with the
/// least virtual time first, and among equals the request that arrived first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) tag: u64,
    pub(super) number: u64,
    pub(super) caller: usize,
    pub(super) arrived: Duration,
}

/// The callers of one priority at an upstream.
#[derive(Debug, Default)]
pub(super) struct Class {
    turns: BTreeSet<Turn>,
    /// The arrivals of the requests that have turns.
    ages: BTreeSet<(Duration, u64)>,
    /// The virtual time of the callers, which is the virtual time of the last dispatched request.
    pub(super) clock: u64,
    /// The virtual time of the class itself, among classes of the same rank.
    tag: u64,
    /// Whether it had the first rank when the last request was dispatched.
    was_first: bool,
}

/// The next turn at an upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) rank: usize,
    pub(super) class: usize,
    pub(super) turn: Turn,
}

/// An upstream.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The number of slots. `None`: no limit.
    pub(super) limit: Option<usize>,
    pub(super) taken: usize,
    /// Streams that the upstream has finished and whose clients still read.
    pub(super) releasing: usize,
    /// The number of waiting requests with this upstream as a candidate.
    pub(super) wanted: usize,
    /// Since when a slot has been free that no waiting request took. `None`: no slot is free.
    pub(super) idle_since: Option<Duration>,
    /// The callers with a turn here that they got because a slot was idle for longer than their patience.
    pub(super) impatient: BTreeSet<usize>,
    /// The time at which a slot was last taken or given back.
    changed: Duration,
    pub(super) classes: [Class; CLASSES],
    /// The virtual time of the classes.
    clock: u64,
    /// The mean time in seconds for which a request holds a slot.
    pub(super) slot_time: Mean,
    /// Finds the limit, with `max_streams = "auto"`.
    pub(super) auto: Option<AutoLimit>,
    /// The sum of the times for which slots were taken, in seconds, up to `accrued`.
    taken_seconds: f64,
    accrued: Duration,
}

/// The state of an upstream with an automatic limit when a request got its slot there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    running: usize,
    taken_seconds: f64,
    epoch: u64,
    pub(super) is_probe: bool,
}

impl Lane {
    pub(super) fn new(limit: Option<usize>) -> Lane {
        Lane { limit, ..Lane::default() }
    }

    /// Finds the limit automatically from now on.
    pub(super) fn find_limit(&mut self, floor: Option<u32>) {
        self.auto = Some(AutoLimit::new(floor));
        self.set_limit();
    }

    /// Applies the automatic limit.
    pub(super) fn set_limit(&mut self) {
        if let Some(auto) = &self.auto {
            self.limit = Some(auto.slots());
        }
    }

    /// Takes a slot.
    pub(super) fn take(&mut self, now: Duration) -> Option<Seat> {
        self.accrue(now);
        self.changed = now;
        self.taken += 1;
        let auto = self.auto.as_mut()?;
        let is_probe = auto.granted(self.taken);
        let seat =
            Seat { running: self.taken, taken_seconds: self.taken_seconds, epoch: auto.epoch(), is_probe };
        self.set_limit();
        Some(seat)
    }

    /// Gives a slot back. Returns the use of the slots since it was taken.
    pub(super) fn give(&mut self, now: Duration, since: Duration, seat: Option<Seat>) -> Option<Occupancy> {
        self.accrue(now);
        self.changed = now;
        self.taken -= 1;
        let Seat { running, taken_seconds, epoch, is_probe } = seat?;
        let seconds = now.saturating_sub(since).as_secs_f64();
        let mean_running =
            if seconds > 0.0 { (self.taken_seconds - taken_seconds) / seconds } else { running as f64 };
        Some(Occupancy { running, mean_running, seconds, epoch, is_probe })
    }

    fn accrue(&mut self, now: Duration) {
        self.taken_seconds += now.saturating_sub(self.accrued).as_secs_f64() * self.taken as f64;
        self.accrued = now;
    }

    /// Returns the time from which a request that arrived at `arrived` takes a slot here.
    pub(super) fn fits_from(&self, now: Duration, arrived: Duration, patience: Duration) -> Duration {
        if patience.is_zero() {
            return arrived;
        }
        // If no slot is free now, the patience begins when one is.
        arrived.max(self.idle_since.unwrap_or(now)).saturating_add(patience)
    }

    /// Notes whether a slot is idle. Returns the callers whose patience begins anew because none is.
    pub(super) fn settle(&mut self, now: Duration) -> BTreeSet<usize> {
        if self.is_free() {
            self.idle_since.get_or_insert(now);
            return BTreeSet::new();
        }
        self.idle_since = None;
        std::mem::take(&mut self.impatient)
    }

    fn free(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.taken))
    }

    pub(super) fn is_free(&self) -> bool {
        self.limit.is_none_or(|limit| self.taken < limit)
    }

    pub(super) fn insert(&mut self, class: usize, turn: Turn) {
        let class = &mut self.classes[class];
        class.turns.insert(turn);
        class.ages.insert((turn.arrived, turn.number));
    }

    pub(super) fn remove(&mut self, class: usize, turn: &Turn) {
        let class = &mut self.classes[class];
        class.turns.remove(turn);
        class.ages.remove(&(turn.arrived, turn.number));
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        self.classes.iter().map(|class| class.turns.len() + class.ages.len()).sum()
    }

    fn ranks(&self, now: Duration, aging: Duration) -> [Option<usize>; CLASSES] {
        let wait = |class: &Class| class.ages.first().map(|(arrived, _)| now.saturating_sub(*arrived));
        ranks(std::array::from_fn(|class| wait(&self.classes[class])), aging)
    }

    /// Returns the virtual time at which a class would be dispatched. A class cannot save up the time in which it did
    /// not have the first rank.
    fn start(&self, class: usize) -> u64 {
        let Class { tag, was_first, .. } = self.classes[class];
        if was_first { tag } else { tag.max(self.clock) }
    }

    /// Returns the next turn, if a slot is free.
    pub(super) fn next(&self, now: Duration, aging: Duration) -> Option<Next> {
        if !self.is_free() || self.classes.iter().all(|class| class.turns.is_empty()) {
            return None;
        }
        let ranks = self.ranks(now, aging);
        let first =
            ranks.iter().enumerate().filter_map(|(class, rank)| Some(((*rank)?, self.start(class), class)));
        let (rank, _, class) = first.min()?;
        Some(Next { rank, class, turn: *self.classes[class].turns.first()? })
    }

    /// Notes that the next request, which is of this class, gets a slot.
    pub(super) fn dispatched(&mut self, now: Duration, aging: Duration, class: usize) {
        let ranks = self.ranks(now, aging);
        let start = self.start(class);
        let charge = self.charge(SHARES[class]);
        for (other, rank) in ranks.iter().enumerate() {
            let is_first = rank.is_some() && *rank == ranks[class];
            if is_first {
                self.classes[other].tag = self.start(other);
            }
            self.classes[other].was_first = is_first;
        }
        self.clock = self.clock.max(start);
        self.classes[class].tag = start.saturating_add(charge);
    }

    /// Returns the virtual time that a request is charged when it gets a slot. At its end the measured slot time
    /// replaces the charge.
    pub(super) fn charge(&self, weight: u32) -> u64 {
        units(self.slot_time.get().unwrap_or(UNKNOWN), weight)
    }

    /// Returns the slots that become free per second while requests wait for them.
    pub(super) fn rate(&self) -> Option<f64> {
        Some(self.limit? as f64 / self.slot_time.get()?.max(1e-3))
    }
}

/// Converts slot time into units of virtual time.
pub(super) fn units(seconds: f64, weight: u32) -> u64 {
    // A request that takes no time still uses its turn.
    ((seconds.max(1e-6) * UNITS) as u64) / u64::from(weight.max(1))
}

/// The lanes' estimate of the time until a slot is free.
#[derive(Clone, Copy, Debug)]
pub struct Outlook<'a> {
    /// `None`: nothing is limited.
    pub(super) lanes: Option<&'a [Lane]>,
    pub(super) now: Duration,
}

impl Outlook<'_> {
    /// Nothing is limited.
    #[must_use]
    pub const fn unlimited() -> Outlook<'static> {
        Outlook { lanes: None, now: Duration::ZERO }
    }

    /// Whether the streams of an upstream are limited.
    #[must_use]
    pub fn is_limited(&self, upstream: usize) -> bool {
        self.lanes.and_then(|lanes| lanes.get(upstream)).is_some_and(|lane| lane.limit.is_some())
    }

    /// Returns the expected time until one of these upstreams has a slot for a request that arrives now. `None`: no
    /// slot time was measured yet.
    ///
    /// If no slot of theirs became free for a long time, the next one is expected after as much time again: their slots
    /// may be held by requests that hang.
    #[must_use]
    pub fn wait(&self, upstreams: impl Iterator<Item = usize> + Clone) -> Option<Duration> {
        let Some(all) = self.lanes else { return Some(Duration::ZERO) };
        let lanes = || upstreams.clone().filter_map(|upstream| all.get(upstream));
        let ahead = lanes().map(|lane| lane.wanted).max().unwrap_or(0);
        if lanes().map(Lane::free).fold(0, usize::saturating_add) > ahead {
            return Some(Duration::ZERO);
        }
        let rate: f64 = lanes().filter_map(Lane::rate).sum();
        let changed = lanes().map(|lane| lane.changed).max().unwrap_or(self.now);
        let wait = Duration::try_from_secs_f64((ahead + 1) as f64 / rate.max(1e-9)).unwrap_or(Duration::MAX);
        (rate > 0.0).then(|| wait.max(self.now.saturating_sub(changed)))
    }
}
