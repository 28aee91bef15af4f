//! The requests that failed or were slow recently, without their content.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{Ending, Outcome};

/// The number of requests that are kept, in at most 256 KiB.
const KEPT: usize = 200;

/// The most characters of a reason.
const LONGEST_REASON: usize = 200;

/// A request that failed or was slow.
#[derive(Clone, Debug)]
pub struct NotedRequest {
    /// The time at which it ended.
    pub at: Instant,
    /// How it ended. Its explanation is the reason, and its load and its steps are left out.
    pub ending: Ending,
    /// Why it failed or was slow, in words.
    pub reason: String,
}

/// The newest of these requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct NotedRequests(Mutex<VecDeque<NotedRequest>>);

impl NotedRequests {
    /// Keeps a request that failed or was slow. For any other request it costs nothing. A burst of refused requests
    /// must not displace the others, so a refused request displaces an earlier refused one if there is one.
    pub(super) fn note(&self, ending: &Ending) {
        if !ending.has_failed() && !ending.is_slow {
            return;
        }
        let reason = ending.reason().chars().take(LONGEST_REASON).collect();
        let ending = Ending { explanation: None, load: None, steps: Vec::new(), ..ending.clone() };
        let noted = NotedRequest { at: Instant::now(), ending, reason };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            let is_refused = |one: &NotedRequest| one.ending.outcome == Outcome::Refused;
            let refused = is_refused(&noted).then(|| kept.iter().position(is_refused)).flatten();
            kept.remove(refused.unwrap_or(0));
        }
        kept.push_back(noted);
    }

    /// Returns the newest requests first, at most `most`.
    pub(super) fn newest(&self, most: usize) -> Vec<NotedRequest> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use prometheus::Registry;

    use super::*;
    use crate::meter::{Config, Facts, Meter, Step};

    fn meter() -> Meter {
        Meter::register(&Registry::new(), &Config::default(), &["gpu0"]).unwrap()
    }

    fn ends(meter: &Meter, outcome: Outcome, status: StatusCode) {
        let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
        measurement.keep_steps();
        measurement.step(|| Step::Admitted);
        measurement.responded(status);
        measurement.finish(outcome);
    }

    #[test]
    fn burst_of_refused_requests_displaces_no_failure() {
        let meter = meter();
        for _ in 0..10 {
            ends(&meter, Outcome::Truncated, StatusCode::OK);
        }
        for _ in 0..1000 {
            ends(&meter, Outcome::Refused, StatusCode::SERVICE_UNAVAILABLE);
        }
        let noted = meter.noted(usize::MAX);
        assert_eq!(noted.len(), KEPT);
        assert_eq!(noted.iter().filter(|one| one.ending.outcome == Outcome::Truncated).count(), 10);
        assert_eq!(noted[0].ending.outcome, Outcome::Refused);
        // They are not part of the documented memory.
        assert!(noted.iter().all(|one| one.ending.steps.is_empty()));
        assert!(noted.is_sorted_by(|newer, older| newer.ending.id > older.ending.id));
        for _ in 0..KEPT {
            ends(&meter, Outcome::UpstreamError, StatusCode::OK);
        }
        assert!(meter.noted(usize::MAX).iter().all(|one| one.ending.outcome == Outcome::UpstreamError));
    }

    #[test]
    fn request_that_is_its_clients_fault_or_complete_is_not_noted() {
        let meter = meter();
        ends(&meter, Outcome::Complete, StatusCode::OK);
        ends(&meter, Outcome::ClientError, StatusCode::NOT_FOUND);
        ends(&meter, Outcome::Refused, StatusCode::UNAUTHORIZED);
        ends(&meter, Outcome::ClientAbort, StatusCode::OK);
        assert!(meter.noted(usize::MAX).is_empty());
    }

    #[test]
    fn noted_requests_stay_within_the_documented_memory() {
        let longest = 64 * 4;
        assert!(
            KEPT * (size_of::<NotedRequest>() + LONGEST_REASON + longest) <= 256 << 10,
            "{}",
            size_of::<NotedRequest>()
        );
    }
}
