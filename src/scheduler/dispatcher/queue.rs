//! The queue: requests join it, leave it, are evicted, and get other candidates.

use std::time::Duration;

use super::{Ask, Dispatcher, Fleet, Outlook, Ticket, caller::Waiter};

impl<W, G> Dispatcher<W, G> {
    /// Puts a request at the end of its caller's queue. `None`: the queue is full, and no request of another caller
    /// could be evicted.
    ///
    /// A full queue evicts the newest request of the busiest caller, if that caller then still has at least as many
    /// waiting requests as the caller of the new one. The evicted request learns of it by the drop of its grant.
    pub(in super::super) fn wait(
        &mut self,
        now: Duration,
        ask: Ask<'_>,
        want: W,
        grant: G,
    ) -> Option<Ticket> {
        let caller = self.callers.enter(ask.caller, ask.terms, self.lanes.len());
        if self.waiting >= self.settings.size && !self.make_room(now, caller) {
            return None;
        }
        self.numbers += 1;
        let number = self.numbers;
        for candidate in &ask.candidates {
            self.lanes[candidate.upstream].wanted += 1;
        }
        self.waiting += 1;
        self.callers[caller].push(ask.candidates, Waiter { number, arrived: now, want, grant });
        self.relist(now, caller);
        Some(Ticket { caller, number })
    }

    fn make_room(&mut self, now: Duration, asks: usize) -> bool {
        let Some(busiest) = self.callers.busiest().filter(|_| self.settings.is_fair) else { return false };
        if self.callers[busiest].waiting < self.callers[asks].waiting + 2 {
            return false;
        }
        let Some(number) = self.callers[busiest].newest() else { return false };
        self.leave(now, Ticket { caller: busiest, number });
        true
    }

    /// Removes a waiting request. It does nothing if the request does not wait.
    pub(in super::super) fn leave(&mut self, now: Duration, ticket: Ticket) {
        if let Some((group, at)) = self.callers[ticket.caller].find(ticket.number) {
            self.remove(ticket.caller, group, at);
            self.relist(now, ticket.caller);
        }
    }

    /// Removes a request and returns it. The turns of its caller still have to be brought up to date.
    pub(super) fn remove(&mut self, caller: usize, group: usize, at: usize) -> Waiter<W, G> {
        let caller = &mut self.callers[caller];
        let group = &mut caller.groups[group];
        for candidate in &group.candidates {
            self.lanes[candidate.upstream].wanted -= 1;
        }
        caller.waiting -= 1;
        self.waiting -= 1;
        group.waiters.remove(at).expect("the position of a waiting request")
    }

    /// Looks up the candidates of each waiting request again.
    pub(super) fn regroup(&mut self, now: Duration, fleet: &dyn Fleet<W>) {
        for id in self.callers.waiting() {
            let caller = &mut self.callers[id];
            for standing in &mut caller.standings {
                standing.had_turn = standing.turns.map(|turns| turns > 0);
                standing.turns = Default::default();
            }
            let mut waiters = Vec::with_capacity(caller.waiting);
            for group in std::mem::take(&mut caller.groups) {
                for (candidate, turn) in group.candidates.iter().zip(&group.turns) {
                    let lane = &mut self.lanes[candidate.upstream];
                    lane.wanted -= group.waiters.len();
                    if let Some((class, turn)) = turn {
                        lane.remove(*class, turn);
                    }
                }
                waiters.extend(group.waiters);
            }
            waiters.sort_unstable_by_key(|waiter| waiter.number);
            caller.waiting = 0;
            for waiter in waiters {
                let candidates = fleet.candidates(&waiter.want, Outlook { lanes: Some(&self.lanes), now });
                for candidate in &candidates {
                    self.lanes[candidate.upstream].wanted += 1;
                }
                self.callers[id].push(candidates, waiter);
            }
            self.relist(now, id);
            for standing in &mut self.callers[id].standings {
                standing.had_turn = Default::default();
            }
        }
    }
}
