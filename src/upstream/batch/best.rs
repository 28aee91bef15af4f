//! The best schedule that a search finds which knows all requests and all speeds in advance.

use super::jobs::{Job, LOAD, MACHINES, MODELS, Random};

/// The seconds that a schedule takes if each request, in this order, goes where it ends first.
fn total(jobs: &[Job], order: &[usize]) -> f64 {
    let mut free: Vec<Vec<f64>> = MACHINES.iter().map(|machine| vec![0.0; machine.slots]).collect();
    let mut ready = [[None; MODELS.len()]; MACHINES.len()];
    let mut total: f64 = 0.0;
    for job in order.iter().map(|at| jobs[*at]) {
        let ends = (0..MACHINES.len()).map(|at| {
            let slot = (0..free[at].len()).min_by(|one, other| free[at][*one].total_cmp(&free[at][*other]));
            let slot = slot.expect("a machine has slots");
            let begin = free[at][slot].max(job.arrival);
            let ready: f64 = ready[at][job.model].unwrap_or(begin + LOAD);
            (begin.max(ready) + job.tokens / MACHINES[at].tokens_per_second, at, slot, ready)
        });
        let (end, at, slot, is_ready) = ends.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap();
        ready[at][job.model] = Some(is_ready);
        free[at][slot] = end;
        total = total.max(end);
    }
    total
}

/// The seconds of the best schedule that a local search finds. It begins with the order of arrival and with the longest
/// request first, and moves single requests.
pub(super) fn search(jobs: &[Job]) -> f64 {
    let arrival: Vec<usize> = (0..jobs.len()).collect();
    let mut longest = arrival.clone();
    longest.sort_by(|one, other| jobs[*other].tokens.total_cmp(&jobs[*one].tokens));
    let mut both = arrival.clone();
    both.sort_by(|one, other| {
        let key = |at: usize| jobs[at].arrival - jobs[at].tokens / 20.0;
        key(*one).total_cmp(&key(*other))
    });
    let starts = [arrival, longest, both];
    starts.into_iter().map(|order| improved(jobs, order)).fold(f64::INFINITY, f64::min)
}

fn improved(jobs: &[Job], mut order: Vec<usize>) -> f64 {
    let mut best = total(jobs, &order);
    let mut random = Random(1);
    for _ in 0..500 {
        let (from, to) = (random.below(order.len()), random.below(order.len()));
        let moved = order.remove(from);
        order.insert(to, moved);
        if best < 1.01 * bound(jobs) {
            break;
        }
        let now = total(jobs, &order);
        if now <= best {
            best = now;
        } else {
            let moved = order.remove(to);
            order.insert(from, moved);
        }
    }
    best
}

/// No schedule takes fewer seconds: nothing is generated before the first load has ended, and then all slots generate.
pub(super) fn bound(jobs: &[Job]) -> f64 {
    let tokens: f64 = jobs.iter().map(|job| job.tokens).sum();
    let capacity: f64 = MACHINES.iter().map(|machine| machine.slots as f64 * machine.tokens_per_second).sum();
    LOAD + tokens / capacity
}
