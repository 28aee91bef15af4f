//! The decision of the store about a request, and the state of the store.

use std::time::Duration;

use super::policy::OnFailure;

/// The decision about a request. `E` is the entry of a request that is admitted.
#[derive(Debug)]
#[cfg_attr(not(feature = "shared"), expect(dead_code, reason = "there is no store"))]
pub(crate) enum StoreVerdict<E> {
    /// The request is admitted.
    Admitted(E),
    /// The caller has used up a rate.
    Denied(Denial),
    /// The store did not answer in time.
    Unanswered {
        /// How to decide.
        policy: OnFailure,
        /// The number of sidecars that share the limits.
        sidecars: u32,
        /// The request, if it is admitted.
        entry: E,
    },
}

/// The rate that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "shared"), expect(dead_code, reason = "there is no store"))]
pub(crate) enum DeniedBy {
    Requests,
    Tokens,
}

/// Why and for how long a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) kind: DeniedBy,
    /// The time until the next request is admitted.
    pub(crate) wait: Duration,
    pub(crate) rests: [Option<Rest>; 2],
}

/// The rest of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// How many may come at once.
    pub(crate) limit: u32,
    /// How many may come now.
    pub(crate) remaining: u32,
    /// The time until all of them may come.
    pub(crate) reset: Duration,
}

/// The mode in force, for the page and for `/readyz`.
#[derive(Clone, Debug)]
pub(crate) struct SharedStatus {
    /// `shared` while the store decides; otherwise the value of `on_failure`.
    pub(crate) mode: &'static str,
    /// Why the store does not decide.
    pub(crate) why: Option<String>,
    /// How long the mode has been in force.
    pub(crate) lasts: Duration,
    /// The number of sidecars that the store knew last.
    pub(crate) sidecars: u32,
}
