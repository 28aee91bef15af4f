//! The rule of the first version: an upstream was chosen for each request as it arrived, and the request then waited in
//! the queue of that upstream.

use super::jobs::{Job, LOAD, MACHINES, MODELS};

/// The interval between two probes, in seconds.
const PROBES: f64 = 5.0;

/// The seconds that the first version takes. An upstream with the model in memory at the last probe is preferred; among
/// equals it is the one with the fewest requests.
pub(super) fn total(jobs: &[Job]) -> f64 {
    let mut free: Vec<Vec<f64>> = MACHINES.iter().map(|machine| vec![0.0; machine.slots]).collect();
    let mut ready: [[Option<f64>; MODELS.len()]; MACHINES.len()] = Default::default();
    let mut ends: Vec<Vec<f64>> = vec![Vec::new(); MACHINES.len()];
    let mut total: f64 = 0.0;
    for job in jobs {
        let probed = (job.arrival / PROBES).floor() * PROBES;
        let is_cold = |at: usize| ready[at][job.model].is_none_or(|ready| ready > probed);
        let requests = |at: usize| ends[at].iter().filter(|end| **end > job.arrival).count();
        let at = (0..MACHINES.len()).min_by_key(|at| (is_cold(*at), requests(*at))).unwrap();
        let slots = &mut free[at];
        let slot = (0..slots.len())
            .min_by(|one, other| slots[*one].total_cmp(&slots[*other]))
            .expect("it has slots");
        let begin = slots[slot].max(job.arrival);
        let is_ready = *ready[at][job.model].get_or_insert(begin + LOAD);
        let end = begin.max(is_ready) + job.tokens / MACHINES[at].tokens_per_second;
        slots[slot] = end;
        ends[at].push(end);
        total = total.max(end);
    }
    total
}
