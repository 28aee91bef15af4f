//! A model of the dispatcher for the tests: the same rules, looked up in plain lists with no index and no order kept.

use std::{collections::BTreeMap, time::Duration};

use super::{super::priority::ranks, Candidate, Settings, Terms, lane::units};

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) caller: usize,
    pub(super) arrived: Duration,
    pub(super) want: usize,
    pub(super) candidates: Vec<Candidate>,
}

/// A slot that a request has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) caller: usize,
    pub(super) upstream: usize,
    class: usize,
    since: Duration,
    charged: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    pub(super) limit: Option<usize>,
    pub(super) taken: usize,
    /// Since when a slot has been free.
    idle_since: Option<Duration>,
    clocks: [u64; 3],
    class_tags: [u64; 3],
    class_clock: u64,
    was_first: [bool; 3],
    mean: Option<f64>,
}

/// An upstream, a caller and a class.
type Place = (usize, usize, usize);

#[derive(Debug)]
pub(super) struct Model {
    settings: Settings,
    pub(super) terms: Vec<Terms>,
    /// The limit of each caller beside its terms.
    pub(super) caps: Vec<Option<usize>>,
    pub(super) lanes: Vec<Lane>,
    pub(super) running: Vec<usize>,
    pub(super) waiting: Vec<Request>,
    tags: BTreeMap<Place, u64>,
    listed: Vec<Place>,
    numbers: u64,
}

impl Model {
    pub(super) fn new(settings: Settings, terms: Vec<Terms>, limits: &[Option<usize>]) -> Model {
        let lanes = limits.iter().map(|limit| Lane { limit: *limit, ..Lane::default() }).collect();
        let (running, caps) = (vec![0; terms.len()], vec![None; terms.len()]);
        Model {
            settings,
            terms,
            caps,
            lanes,
            running,
            waiting: Vec::new(),
            tags: BTreeMap::new(),
            listed: Vec::new(),
            numbers: 0,
        }
    }

    fn class(&self, request: &Request) -> usize {
        self.terms[request.caller].priority.class()
    }

    /// The rank of each class at an upstream, by the oldest of its requests that fit there.
    fn ranks(&self, upstream: usize, now: Duration) -> [Option<usize>; 3] {
        let wait = |class| {
            let fitting = self.waiting.iter().filter(|request| self.fits(request, upstream, now));
            fitting.filter(|request| self.class(request) == class).map(|request| now - request.arrived).max()
        };
        ranks([wait(0), wait(1), wait(2)], self.settings.aging)
    }

    fn class_start(&self, upstream: usize, class: usize) -> u64 {
        let lane = &self.lanes[upstream];
        let tag = lane.class_tags[class];
        if lane.was_first[class] { tag } else { tag.max(lane.class_clock) }
    }

    pub(super) fn is_at_limit(&self, caller: usize) -> bool {
        let limits = [self.terms[caller].max_streams, self.caps[caller]];
        limits.into_iter().flatten().any(|most| self.running[caller] >= most)
    }

    pub(super) fn is_free(&self, upstream: usize) -> bool {
        let lane = &self.lanes[upstream];
        lane.limit.is_none_or(|limit| lane.taken < limit)
    }

    /// The request could have a slot there if one were free.
    fn fits(&self, request: &Request, upstream: usize, now: Duration) -> bool {
        !self.is_at_limit(request.caller)
            && request
                .candidates
                .iter()
                .any(|one| one.upstream == upstream && self.is_patience_over(request, one, now))
    }

    /// A slot has been idle for longer than the request waits for another one.
    fn is_patience_over(&self, request: &Request, candidate: &Candidate, now: Duration) -> bool {
        let idle = self.lanes[candidate.upstream].idle_since.unwrap_or(now);
        candidate.patience.is_zero() || request.arrived.max(idle) + candidate.patience <= now
    }

    /// A request that waits though a slot that fits is free.
    pub(super) fn idle_slot(&self, now: Duration) -> Option<(u64, usize)> {
        self.waiting.iter().find_map(|request| {
            let upstream =
                (0..self.lanes.len()).find(|one| self.is_free(*one) && self.fits(request, *one, now))?;
            Some((request.number, upstream))
        })
    }

    /// Callers that begin to take turns somewhere start at the virtual time there.
    fn list(&mut self, now: Duration) {
        let mut listed = Vec::new();
        for request in &self.waiting {
            let is_oldest = !self.waiting.iter().any(|other| {
                other.caller == request.caller
                    && other.candidates == request.candidates
                    && other.number < request.number
            });
            for upstream in (0..self.lanes.len()).filter(|_| is_oldest) {
                if self.fits(request, upstream, now) {
                    listed.push((upstream, request.caller, self.class(request)));
                }
            }
        }
        for place in &listed {
            if !self.listed.contains(place) {
                let clock = self.lanes[place.0].clocks[place.2];
                let tag = self.tags.entry(*place).or_default();
                *tag = (*tag).max(clock);
            }
        }
        self.listed = listed;
    }

    /// The rank, the class and the number of the request whose turn it is at an upstream.
    fn next(&self, upstream: usize, now: Duration) -> Option<(usize, usize, u64)> {
        if !self.is_free(upstream) {
            return None;
        }
        let ranks = self.ranks(upstream, now);
        let classes =
            (0..3).filter_map(|class| Some((ranks[class]?, self.class_start(upstream, class), class)));
        let (rank, _, class) = classes.min()?;
        let fitting = self.waiting.iter().filter(|request| self.fits(request, upstream, now));
        let turn = |request: &Request| {
            let tag = self.tags.get(&(upstream, request.caller, class)).copied().unwrap_or(0);
            (if self.settings.is_fair { tag } else { 0 }, request.number)
        };
        let (_, number) = fitting.filter(|request| self.class(request) == class).map(turn).min()?;
        Some((rank, class, number))
    }

    fn grant(&mut self, now: Duration, caller: usize, upstream: usize, class: usize) -> Held {
        let place = (upstream, caller, class);
        let lane = &mut self.lanes[upstream];
        lane.taken += 1;
        self.running[caller] += 1;
        let mut start = self.tags.get(&place).copied().unwrap_or(0);
        if !self.listed.contains(&place) {
            start = start.max(lane.clocks[class]);
        }
        lane.clocks[class] = lane.clocks[class].max(start);
        let charged = units(lane.mean.unwrap_or(1.0), self.terms[caller].weight);
        self.tags.insert(place, start + charged);
        if !self.is_free(upstream) {
            self.lanes[upstream].idle_since = None;
        }
        Held { caller, upstream, class, since: now, charged }
    }

    fn least_taken(&self, upstreams: impl Iterator<Item = usize>) -> Option<usize> {
        upstreams.min_by_key(|one| (self.lanes[*one].taken, *one))
    }

    /// Gives each free slot to the request whose turn it is.
    pub(super) fn dispatch(&mut self, now: Duration) -> Vec<(u64, Held)> {
        let mut granted = Vec::new();
        loop {
            self.list(now);
            let turns: Vec<_> = (0..self.lanes.len()).map(|upstream| self.next(upstream, now)).collect();
            let first = turns.iter().flatten().min_by_key(|(rank, _, number)| (*rank, *number));
            let Some((_, class, number)) = first.copied() else {
                for upstream in 0..self.lanes.len() {
                    let is_free = self.is_free(upstream);
                    let idle = &mut self.lanes[upstream].idle_since;
                    *idle = idle.or(Some(now)).filter(|_| is_free);
                }
                return granted;
            };
            let heads =
                turns.iter().enumerate().filter(|(_, turn)| turn.is_some_and(|turn| turn.2 == number));
            let at = self.waiting.iter().position(|request| request.number == number).unwrap();
            let upstream = self.least_taken(heads.map(|(upstream, _)| upstream)).unwrap();
            let ranks = self.ranks(upstream, now);
            let starts = [0, 1, 2].map(|class| self.class_start(upstream, class));
            let request = self.waiting.remove(at);
            let lane = &mut self.lanes[upstream];
            for other in 0..3 {
                lane.was_first[other] = ranks[other].is_some() && ranks[other] == ranks[class];
                if lane.was_first[other] {
                    lane.class_tags[other] = starts[other];
                }
            }
            lane.class_clock = lane.class_clock.max(starts[class]);
            lane.class_tags[class] = starts[class] + units(lane.mean.unwrap_or(1.0), [4, 2, 1][class]);
            granted.push((number, self.grant(now, request.caller, upstream, class)));
        }
    }

    /// A request arrives: it has a slot at once, waits by its number, or is refused. Also the number of the one that
    /// made room for it.
    pub(super) fn arrive(
        &mut self,
        now: Duration,
        caller: usize,
        want: usize,
        candidates: Vec<Candidate>,
    ) -> Result<(Result<Held, u64>, Option<u64>), ()> {
        let free = candidates.iter().filter(|one| one.patience.is_zero() && self.is_free(one.upstream));
        if !self.is_at_limit(caller)
            && let Some(upstream) = self.least_taken(free.map(|one| one.upstream))
        {
            return Ok((Ok(self.grant(now, caller, upstream, self.terms[caller].priority.class())), None));
        }
        let mut evicted = None;
        if self.waiting.len() >= self.settings.size {
            let count = |caller: usize| self.waiting.iter().filter(|one| one.caller == caller).count();
            let newest = |caller: usize| {
                self.waiting.iter().filter(|one| one.caller == caller).map(|one| one.number).max()
            };
            let busiest =
                (0..self.terms.len()).max_by_key(|caller| (count(*caller), newest(*caller))).unwrap();
            if !self.settings.is_fair || count(busiest) < count(caller) + 2 {
                return Err(());
            }
            evicted = newest(busiest);
            self.leave(evicted.unwrap());
        }
        self.numbers += 1;
        let number = self.numbers;
        self.waiting.push(Request { number, caller, arrived: now, want, candidates });
        self.list(now);
        Ok((Err(number), evicted))
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.waiting.retain(|request| request.number != number);
    }

    /// The upstream has finished a request.
    pub(super) fn free(&mut self, now: Duration, held: &Held) {
        let seconds = (now - held.since).as_secs_f64();
        let lane = &mut self.lanes[held.upstream];
        lane.taken -= 1;
        lane.mean = Some(lane.mean.map_or(seconds, |mean| mean + 0.2 * (seconds - mean)));
        let actual = units(seconds, self.terms[held.caller].weight);
        let tag = self.tags.get_mut(&(held.upstream, held.caller, held.class)).unwrap();
        *tag = (*tag + actual).saturating_sub(held.charged);
    }
}
