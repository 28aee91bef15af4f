//! The leases of one caller's streams that this sidecar holds.
//!
//! The local scheduler never runs more streams of the caller than the pool holds. A stream that ends gives its lease to
//! a request that waits here, or back to the store.

/// Leases of one caller. Everything in it is a plain number; the caller of its methods has the lock.
#[derive(Debug, Default)]
pub(super) struct LeasePool {
    /// Requests that have been admitted and have not ended.
    demand: usize,
    /// Leases of the store.
    held: usize,
    /// The most that it should hold, because other sidecars wait.
    goal: Option<usize>,
    /// Leases that calls in flight ask for: of admission, and of settling.
    asked: [usize; 2],
    /// The store has to be told.
    is_dirty: bool,
}

/// The call that asks for leases.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asking {
    Admission,
    Settling,
}

impl LeasePool {
    /// Whether requests wait for a lease.
    pub(super) fn is_short(&self) -> bool {
        self.held < self.demand
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    pub(super) fn is_empty(&self) -> bool {
        self.demand == 0 && self.held == 0 && !self.is_dirty
    }

    /// Whether other sidecars wait for leases.
    pub(super) fn others_wait(&self) -> bool {
        self.goal.is_some()
    }

    pub(super) fn holds(&self) -> bool {
        self.held > 0
    }

    /// Whether it holds leases that it should give back once their streams have left the scheduler.
    pub(super) fn is_over(&self) -> bool {
        self.held > self.most()
    }

    /// The most leases that it should hold.
    fn most(&self) -> usize {
        self.demand.min(self.goal.unwrap_or(usize::MAX))
    }

    /// Begins a call that admits `coming` generations. Returns the numbers to report: leases held, and leases wanted
    /// beside those of the coming requests.
    pub(super) fn ask(&mut self, asking: Asking, coming: usize) -> (usize, usize) {
        let other = self.asked[1 - asking as usize];
        let wanted = self.demand.saturating_sub(self.held + other);
        // The store may have granted what a call in flight asks for. To report too few would free leases in use.
        let reported = self.held + other;
        self.asked[asking as usize] = wanted + coming;
        if matches!(asking, Asking::Settling) {
            self.is_dirty = false;
        }
        (reported, wanted)
    }

    /// Ends a call: it admitted `came` generations, and the store granted `taken` leases and named a goal.
    pub(super) fn answered(&mut self, asking: Asking, came: usize, taken: usize, goal: Option<usize>) {
        let asked = std::mem::take(&mut self.asked[asking as usize]);
        self.demand += came;
        self.held += taken;
        self.goal = goal;
        // The other call has reported leases that the store did not grant.
        self.is_dirty |= taken < asked && self.asked[1 - asking as usize] > 0;
    }

    /// Ends a call without an answer. The store may have granted what it asked for.
    pub(super) fn unanswered(&mut self, asking: Asking) {
        self.asked[asking as usize] = 0;
        self.is_dirty = true;
    }

    /// A request was admitted without the store.
    pub(super) fn enter(&mut self) {
        self.demand += 1;
    }

    /// A request has ended.
    pub(super) fn leave(&mut self) {
        // The store knows that a request waited, and other sidecars give leases back for it.
        self.is_dirty |= self.is_short();
        self.demand = self.demand.saturating_sub(1);
    }

    /// Gives leases back that are not needed or that others should have. `cap` limits the streams that run here and
    /// returns how many run.
    pub(super) fn balance(&mut self, cap: impl Fn(usize) -> usize) {
        let most = self.most();
        if !self.is_over() {
            cap(self.held);
            return;
        }
        // After `cap`, none begins above `most`, and those that run keep their leases.
        let kept = self.held.min(cap(most).max(most));
        self.is_dirty |= kept < self.held;
        self.held = kept;
    }

    /// Takes over the streams that run here, after the limits were local. They may be more than the store would grant.
    pub(super) fn restore(&mut self, cap: impl Fn(usize) -> usize) {
        self.held = self.held.max(cap(self.held));
        self.goal = None;
        self.is_dirty = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_that_no_request_needs_is_given_back() {
        let mut pool = LeasePool::default();
        assert_eq!(pool.ask(Asking::Admission, 2), (0, 0));
        pool.answered(Asking::Admission, 2, 2, None);
        pool.leave();
        pool.balance(|most| most.min(1));
        assert!((pool.held, pool.is_dirty) == (1, true));
    }

    #[test]
    fn running_stream_keeps_its_lease_until_it_ends_although_others_wait() {
        let mut pool = LeasePool { demand: 4, held: 4, goal: Some(2), ..LeasePool::default() };
        pool.balance(|_| 4);
        assert_eq!(pool.held, 4);
        pool.balance(|_| 3);
        assert_eq!(pool.held, 3);
        pool.balance(|_| 1);
        assert_eq!(pool.held, 2);
    }

    #[test]
    fn call_reports_the_leases_that_another_call_may_have_got() {
        let mut pool = LeasePool { demand: 3, held: 1, ..LeasePool::default() };
        assert_eq!(pool.ask(Asking::Settling, 0), (1, 2));
        assert_eq!(pool.ask(Asking::Admission, 1), (3, 0));
        pool.answered(Asking::Settling, 0, 0, None);
        assert!(pool.is_dirty, "the store counts two leases that this sidecar does not have");
        pool.answered(Asking::Admission, 1, 0, None);
        assert_eq!((pool.held, pool.demand, pool.is_short()), (1, 4, true));
    }

    #[test]
    fn streams_of_an_outage_are_reported_after_it() {
        let mut pool = LeasePool { demand: 5, held: 2, goal: Some(1), ..LeasePool::default() };
        pool.restore(|_| 5);
        assert_eq!(pool.ask(Asking::Settling, 0), (5, 0));
    }
}
