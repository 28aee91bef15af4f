//! The waiting requests in the order in which they are expected to get a slot.

use std::time::Duration;

use super::{Dispatcher, lane::Lane};

/// The place of a waiting request. It is an estimate: requests that arrive later, aging and a caller's own limit of
/// streams change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct LinePlace<'a, W> {
    pub(in super::super) want: &'a W,
    /// From 1.
    pub(in super::super) position: usize,
    /// The time until it gets a slot. `None`: no slot time was measured yet.
    pub(in super::super) wait: Option<Duration>,
}

impl<W, G> Dispatcher<W, G> {
    /// Returns the place of each waiting request: by priority, then by the turns of the callers and their weights, then
    /// by arrival.
    pub(in super::super) fn line(&self) -> Vec<LinePlace<'_, W>> {
        let mut line = Vec::with_capacity(self.waiting);
        for id in self.callers.waiting() {
            let caller = &self.callers[id];
            let groups = caller.groups.iter();
            let mut own: Vec<_> = groups
                .flat_map(|group| group.waiters.iter().map(|waiter| (waiter, &group.candidates)))
                .collect();
            own.sort_unstable_by_key(|(waiter, _)| waiter.number);
            for (turn, (waiter, candidates)) in (1_u64..).zip(own) {
                // In units that the weights from 1 to 1,000 divide well enough.
                let share = turn.saturating_mul(1 << 20) / u64::from(caller.terms.weight.max(1));
                let share = if self.settings.is_fair { share } else { 0 };
                line.push(((caller.terms.priority.class(), share, waiter.number), &waiter.want, candidates));
            }
        }
        line.sort_unstable_by_key(|(order, ..)| *order);
        let mut ahead = vec![0_usize; self.lanes.len()];
        let places = (1..).zip(line).map(|(position, (_, want, candidates))| {
            let lanes = || candidates.iter().map(|candidate| candidate.upstream);
            let rate: f64 = lanes().filter_map(|lane| self.lanes[lane].rate()).sum();
            let before = lanes().map(|lane| ahead[lane]).max().unwrap_or(0);
            lanes().for_each(|lane| ahead[lane] += 1);
            let wait = (rate > 0.0).then(|| Duration::try_from_secs_f64((before + 1) as f64 / rate).ok());
            LinePlace { want, position, wait: wait.flatten() }
        });
        places.collect()
    }

    /// Returns the limit of each upstream, and the streams that it has finished and whose clients still read.
    pub(in super::super) fn lanes(&self) -> impl Iterator<Item = (Option<usize>, usize)> {
        self.lanes.iter().map(|lane: &Lane| (lane.limit, lane.releasing))
    }
}
