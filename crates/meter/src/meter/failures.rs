//! The requests that failed recently, without their content.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{Ending, Outcome};
use crate::protocol::Route;

/// The number of failures that are kept, in at most 120 KiB.
const KEPT: usize = 200;

/// The most characters of a reason.
const LONGEST_REASON: usize = 200;

/// A request that failed for a reason other than its client.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The time at which it ended.
    pub at: Instant,
    /// Number of the request in this process.
    pub id: u64,
    /// Its route.
    pub route: Route,
    /// The label of its model.
    pub model: String,
    /// The label of its upstream.
    pub upstream: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Why it failed, in words.
    pub reason: String,
    /// The status that was sent to the client, if any.
    pub status: Option<StatusCode>,
    /// The time from accept to the end.
    pub duration: Duration,
}

/// The newest failures, oldest first.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<VecDeque<Failure>>);

impl Failures {
    /// Keeps a request that failed. For any other request it costs nothing.
    pub(super) fn note(&self, ending: &Ending) {
        if !ending.outcome.is_failure() {
            return;
        }
        let failure = Failure {
            at: Instant::now(),
            id: ending.id,
            route: ending.route,
            model: ending.model.clone(),
            upstream: ending.upstream.clone(),
            outcome: ending.outcome,
            reason: ending.reason().chars().take(LONGEST_REASON).collect(),
            status: ending.status,
            duration: ending.duration,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(failure);
    }

    /// Returns the newest failures first, at most `most`.
    pub(super) fn newest(&self, most: usize) -> Vec<Failure> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(most).cloned().collect()
    }
}
