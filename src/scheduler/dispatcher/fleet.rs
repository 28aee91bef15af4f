//! The questions that the dispatcher asks about the upstreams.

use std::time::Duration;

use super::lane::Outlook;

/// An upstream that a request may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its position.
    pub upstream: usize,
    /// How long the request waits for another candidate before it takes a slot here: zero unless a load would take longer
    /// than the expected wait for an upstream that has the model in memory.
    pub patience: Duration,
}

/// A candidate that has a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// Its position.
    pub upstream: usize,
    /// Slots that are taken there.
    pub taken: usize,
}

/// The state of the upstreams. `W` is the wish of a request.
pub trait Fleet<W> {
    /// The upstreams that may have the request, now.
    fn candidates(&self, want: &W, outlook: Outlook<'_>) -> Box<[Candidate]>;

    /// The position in `free` of the upstream that gets the request. `free` is not empty.
    fn choose(&self, want: &W, free: &[Free]) -> usize;

    /// A request gets a slot there. True: it tries whether the upstream works again, and no other request goes there until
    /// that is known.
    fn granted(&self, upstream: usize, want: &W) -> bool;

    /// The request that was to try the upstream never went there.
    fn abandoned(&self, upstream: usize);
}
