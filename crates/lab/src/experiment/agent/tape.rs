//! The observations of agents that were not passed on yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Arrival, Ending, Telling};
use crate::analysis::Probe;

/// Agents write, and the pump takes the entries. An uncontended mutex costs some 20 ns.
#[derive(Debug, Default)]
pub(super) struct Tape(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    arrivals: Vec<Vec<Arrival>>,
    schedule: Vec<(f64, f64)>,
    yields: Vec<(f64, f64)>,
    endings: Vec<Ending>,
}

impl Tape {
    /// Creates a tape for this many agents.
    pub(super) fn new(agents: usize) -> Tape {
        Tape(Mutex::new(Content { arrivals: vec![Vec::new(); agents], ..Content::default() }))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an arrival at the agent with this index.
    pub(super) fn arrival(&self, place: usize, arrival: Arrival) {
        if let Some(arrivals) = self.content().arrivals.get_mut(place) {
            arrivals.push(arrival);
        }
    }

    /// Adds a probe of the runtime.
    pub(super) fn lag(&self, probe: Probe, at: f64, lag: f64) {
        let mut content = self.content();
        match probe {
            Probe::Schedule => content.schedule.push((at, lag)),
            Probe::Yield => content.yields.push((at, lag)),
        }
    }

    /// Adds the end of a request of an open-loop load, whose generator waits for nothing.
    pub(super) fn ended(&self, ending: Ending) {
        self.content().endings.push(ending);
    }

    /// Takes all entries. `numbers` are the numbers of the agents, by index.
    pub(super) fn take(&self, numbers: &[u32]) -> Vec<Telling> {
        let mut content = self.content();
        let mut tellings = Vec::new();
        for (arrivals, agent) in content.arrivals.iter_mut().zip(numbers) {
            if !arrivals.is_empty() {
                tellings.push(Telling::Arrivals { agent: *agent, arrivals: std::mem::take(arrivals) });
            }
        }
        let endings = std::mem::take(&mut content.endings);
        tellings.extend(endings.into_iter().map(|ending| Telling::Ended(Box::new(ending))));
        let Content { schedule, yields, .. } = &mut *content;
        for (probe, samples) in [(Probe::Schedule, schedule), (Probe::Yield, yields)] {
            if !samples.is_empty() {
                tellings.push(Telling::Lags { probe, samples: std::mem::take(samples) });
            }
        }
        tellings
    }
}
