//! The steps of a request on its way to an upstream, for a description of the request.

use std::{sync::Arc, time::Duration};

/// The most steps that are kept of one request.
pub(super) const MOST: usize = 32;

/// A step of a request on its way to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The request may use its route, and its caller has a request and a token left.
    Admitted,
    /// The request asked for a slot.
    Queued,
    /// The request has its upstream and is sent there.
    Dispatched {
        /// The name of the upstream.
        upstream: Arc<str>,
        /// Why this upstream, in one word.
        reason: &'static str,
    },
    /// The upstream did not get or not take the request, and another one is chosen.
    Retried {
        /// The name of the upstream.
        upstream: Arc<str>,
        /// Why it did not, in one word.
        reason: &'static str,
    },
}

/// A step, and its time since the request was accepted.
pub type TimedStep = (Duration, Step);
