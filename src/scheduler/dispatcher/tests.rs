//! The dispatcher against its model, and the promises that it makes.

mod fairness;
mod promises;

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{model::Model, *};
use crate::scheduler::priority::Priority;

const AGING: Duration = Duration::from_secs(10);

/// The wish of each request is the number of a row of candidates. An upstream that is down is not a candidate.
struct Table {
    rows: Vec<Vec<Candidate>>,
    down: Vec<bool>,
}

impl Fleet<usize> for Table {
    fn candidates(&self, want: &usize, _: Outlook<'_>) -> Box<[Candidate]> {
        let row = &self.rows[*want];
        let up: Vec<_> = row.iter().filter(|one| !self.down[one.upstream]).copied().collect();
        if up.is_empty() { row.clone().into() } else { up.into() }
    }

    fn choose(&self, _: &usize, free: &[Free]) -> usize {
        let least = free.iter().enumerate().min_by_key(|(_, one)| (one.taken, one.upstream));
        least.unwrap().0
    }

    fn granted(&self, _: usize, _: &usize) -> bool {
        false
    }

    fn abandoned(&self, _: usize) {}
}

const fn settings(size: usize) -> Settings {
    Settings { size, aging: AGING, is_fair: true }
}

fn ask(caller: &str, terms: Terms, candidates: Box<[Candidate]>) -> Ask<'_> {
    Ask { caller, terms, candidates }
}

/// The next event. Numbers are taken modulo the number of callers, requests or upstreams.
#[derive(Clone, Debug)]
enum Event {
    Arrive {
        caller: usize,
        want: usize,
    },
    Leave(usize),
    /// The upstream has finished, and the client still reads.
    Free(usize),
    End(usize),
    Limit {
        upstream: usize,
        limit: Option<usize>,
    },
    /// The limit of a caller beside its terms.
    Cap {
        caller: usize,
        cap: Option<usize>,
    },
    /// An upstream goes down or comes up.
    Turn(usize),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0_usize..8, 0_usize..8).prop_map(|(caller, want)| Event::Arrive { caller, want }),
        1 => (0_usize..64).prop_map(Event::Leave),
        1 => (0_usize..64).prop_map(Event::Free),
        6 => (0_usize..64).prop_map(Event::End),
        1 => (0_usize..4, proptest::option::of(0_usize..4)).prop_map(|(upstream, limit)| Event::Limit { upstream, limit }),
        1 => (0_usize..8, proptest::option::of(0_usize..4)).prop_map(|(caller, cap)| Event::Cap { caller, cap }),
        1 => (0_usize..4).prop_map(Event::Turn),
        4 => (0_u64..6_000).prop_map(Event::Pass),
    ];
    vec(event, 1..80)
}

fn terms() -> impl Strategy<Value = Terms> {
    let priority = prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)];
    (proptest::option::of(1_usize..4), 1_u32..4, priority).prop_map(|(max_streams, weight, priority)| Terms {
        max_streams,
        weight,
        priority,
    })
}

/// Each upstream with some probability, and its patience; the first where that is none.
fn row(upstreams: usize) -> impl Strategy<Value = Vec<Candidate>> {
    vec((any::<bool>(), prop_oneof![3 => Just(0_u64), 1 => Just(3_000)]), upstreams).prop_map(|each| {
        let mut row: Vec<_> = each
            .iter()
            .enumerate()
            .filter(|(_, (has, _))| *has)
            .map(|(upstream, (_, patience))| Candidate {
                upstream,
                patience: Duration::from_millis(*patience),
            })
            .collect();
        if row.is_empty() {
            row.push(Candidate { upstream: 0, patience: Duration::ZERO });
        }
        row
    })
}

#[derive(Clone, Debug)]
struct Scenario {
    limits: Vec<Option<usize>>,
    terms: Vec<Terms>,
    rows: Vec<Vec<Candidate>>,
    size: usize,
    is_fair: bool,
    events: Vec<Event>,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (1_usize..5).prop_flat_map(|upstreams| {
        let limit = prop_oneof![8 => (1_usize..4).prop_map(Some), 1 => Just(None)];
        (
            vec(limit, upstreams),
            vec(terms(), 1..8),
            vec(row(upstreams), 1..5),
            0_usize..24,
            prop_oneof![4 => Just(true), 1 => Just(false)],
            events(),
        )
            .prop_map(|(limits, terms, rows, size, is_fair, events)| Scenario {
                limits,
                terms,
                rows,
                size,
                is_fair,
                events,
            })
    })
}

/// The dispatcher and the model, to which the same happens.
struct Both {
    dispatcher: Dispatcher<usize, u64>,
    model: Model,
    table: Table,
    now: Duration,
    /// Slots that are held, in both. The lease is `None` once its slot is free and the stream goes on.
    held: Vec<(Lease, model::Held, bool)>,
    tickets: Vec<(u64, Ticket)>,
}

impl Both {
    fn new(scenario: &Scenario) -> Both {
        let settings = Settings { is_fair: scenario.is_fair, ..settings(scenario.size) };
        Both {
            dispatcher: Dispatcher::new(settings, scenario.limits.iter().copied()),
            model: Model::new(settings, scenario.terms.clone(), &scenario.limits),
            table: Table { rows: scenario.rows.clone(), down: vec![false; scenario.limits.len()] },
            now: Duration::ZERO,
            held: Vec::new(),
            tickets: Vec::new(),
        }
    }

    fn apply(&mut self, event: &Event) {
        let (upstreams, now) = (self.model.lanes.len(), self.now);
        match *event {
            Event::Arrive { caller, want } => {
                let caller = caller % self.model.terms.len();
                self.arrive(caller, want % self.table.rows.len());
            }
            Event::Leave(at) if !self.tickets.is_empty() => {
                let (number, ticket) = self.tickets.remove(at % self.tickets.len());
                self.dispatcher.leave(now, ticket);
                self.model.leave(number);
            }
            Event::Free(at) if !self.held.is_empty() => {
                let at = at % self.held.len();
                let (lease, held, is_free) = &mut self.held[at];
                if !std::mem::replace(is_free, true) {
                    self.model.free(now, held);
                    self.dispatcher.free(now, lease, &self.table);
                }
            }
            Event::End(at) if !self.held.is_empty() => {
                let at = at % self.held.len();
                self.end(at);
            }
            Event::Limit { upstream, limit } => {
                let upstream = upstream % upstreams;
                self.model.lanes[upstream].limit = limit;
                self.dispatcher.set_limit(now, upstream, limit, &self.table);
            }
            Event::Cap { caller, cap } => {
                let caller = caller % self.model.terms.len();
                self.model.caps[caller] = cap;
                let running = self.dispatcher.cap(now, &format!("caller{caller}"), cap, &self.table);
                // Those that run, and no grant of this moment.
                assert!(running >= self.model.running[caller]);
            }
            Event::Turn(upstream) => {
                let down = &mut self.table.down[upstream % upstreams];
                *down = !*down;
                self.refresh();
            }
            Event::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.dispatcher.tick(self.now, &self.table);
            }
            Event::Leave(_) | Event::Free(_) | Event::End(_) => {}
        }
        self.settle();
    }

    fn refresh(&mut self) {
        for request in &mut self.model.waiting {
            request.candidates = self.table.candidates(&request.want, Outlook::unlimited()).into_vec();
        }
        self.dispatcher.refresh(self.now, &self.table);
    }

    fn end(&mut self, at: usize) {
        let (lease, held, is_free) = self.held.remove(at);
        if !is_free {
            self.model.free(self.now, &held);
            self.compare_after(|dispatcher, now, table| {
                dispatcher.free(now, &lease, table);
            });
        }
        self.model.running[held.caller] -= 1;
        self.dispatcher.end(self.now, &lease, &self.table);
    }

    fn compare_after(&mut self, act: impl FnOnce(&mut Dispatcher<usize, u64>, Duration, &Table)) {
        act(&mut self.dispatcher, self.now, &self.table);
        self.settle();
    }

    fn arrive(&mut self, caller: usize, want: usize) {
        let (name, terms, now) = (format!("caller{caller}"), self.model.terms[caller], self.now);
        let candidates = self.table.candidates(&want, self.dispatcher.outlook(now));
        let expected = self.model.arrive(now, caller, want, candidates.to_vec());
        let request = ask(&name, terms, candidates);
        if let Some(lease) = self.dispatcher.take(now, &request, &want, &self.table) {
            let Ok((Ok(held), None)) = expected else { panic!("{expected:?}") };
            assert_eq!(lease.upstream, held.upstream);
            self.held.push((lease, held, false));
            return;
        }
        let waiting = self.dispatcher.waiting();
        match (self.dispatcher.wait(now, request, want, self.numbers() + 1), expected) {
            (None, Err(())) => {}
            (Some(ticket), Ok((Err(number), evicted))) => {
                assert_eq!(self.dispatcher.waiting(), waiting + usize::from(evicted.is_none()));
                self.tickets.retain(|(number, _)| Some(*number) != evicted);
                self.tickets.push((number, ticket));
            }
            (ticket, expected) => panic!("{ticket:?} {expected:?}"),
        }
    }

    /// Numbers given so far, as both count them.
    fn numbers(&self) -> u64 {
        self.dispatcher.numbers
    }

    /// Both grant the same slots to the same requests in the same order, and leave no slot idle that fits.
    fn settle(&mut self) {
        let expected = self.model.dispatch(self.now);
        let granted = self.dispatcher.granted();
        let order = |number, upstream| (number, upstream);
        let model: Vec<_> = expected.iter().map(|(number, held)| order(*number, held.upstream)).collect();
        let ours: Vec<_> = granted.iter().map(|grant| order(grant.grant, grant.lease.upstream)).collect();
        assert_eq!(ours, model);
        for (grant, (number, held)) in granted.into_iter().zip(expected) {
            self.tickets.retain(|(waiting, _)| *waiting != number);
            self.held.push((grant.lease, held, false));
        }
        assert_eq!(self.model.idle_slot(self.now), None, "a request waits though a slot that fits is free");
        assert_eq!(self.dispatcher.waiting(), self.model.waiting.len());
        assert_eq!(self.tickets.len(), self.model.waiting.len());
    }

    /// Ends everything: whoever waits gets a slot.
    fn drain(&mut self) {
        for upstream in 0..self.model.lanes.len() {
            self.apply(&Event::Limit { upstream, limit: Some(1) });
        }
        for caller in 0..self.model.terms.len() {
            self.apply(&Event::Cap { caller, cap: None });
        }
        self.apply(&Event::Pass(60_000));
        // A request that starves fails the assertion below.
        for _ in 0..1_000 {
            if self.dispatcher.waiting() == 0 && self.held.is_empty() {
                break;
            }
            while !self.held.is_empty() {
                self.apply(&Event::End(0));
            }
            // The patience of those that are left.
            self.apply(&Event::Pass(3_000));
        }
        assert_eq!(self.dispatcher.waiting(), 0, "nobody is left to wait");
        for lane in &self.dispatcher.lanes {
            assert_eq!((lane.taken, lane.wanted, lane.turns()), (0, 0, 0));
        }
        assert!(self.dispatcher.due.is_empty());
    }
}

proptest! {
    // `just scheduler` runs 100,000 scenarios.
    #[test]
    fn dispatcher_grants_what_its_model_grants_leaves_no_slot_idle_and_starves_nobody(scenario in scenario()) {
        let mut both = Both::new(&scenario);
        for event in &scenario.events {
            both.apply(event);
        }
        both.drain();
    }
}
