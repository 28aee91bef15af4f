//! The questions that the dispatcher asks about the upstreams.

use std::time::Duration;

use super::lane::Outlook;

/// An upstream that a request may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its position.
    pub upstream: usize,
    /// The time for which a slot here stays idle before the request takes it. It is zero unless the answer is expected to
    /// end sooner after a wait for another candidate.
    pub patience: Duration,
}

impl Candidate {
    /// The patience of a request that takes no slot here until its candidates are looked up again.
    pub const HELD: Duration = Duration::MAX;
}

/// A candidate that has a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Its position.
    pub upstream: usize,
    /// The number of taken slots.
    pub taken: usize,
}

/// The state of the upstreams. `W` is the wish of a request.
pub trait Fleet<W> {
    /// Returns the upstreams that may serve the request now.
    fn candidates(&self, want: &W, outlook: Outlook<'_>) -> Box<[Candidate]>;

    /// Returns the position in `free` of the upstream that gets the request. `free` is not empty.
    fn choose(&self, want: &W, free: &[Free]) -> usize;

    /// Notes that a request gets a slot there. Returns whether it is the trial of a half-open breaker. Until the trial
    /// has a result, the upstream gets no other request.
    fn granted(&self, upstream: usize, want: &W) -> bool;

    /// Notes that the trial of the upstream was never sent.
    fn abandoned(&self, upstream: usize);

    /// Notes the limit of an upstream whose limit is found automatically, and the reason for it.
    fn limited(&self, upstream: usize, limit: usize, reason: &'static str) {
        let _ = (upstream, limit, reason);
    }
}
