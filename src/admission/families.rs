//! The metrics of admission.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, Registry};

use super::Quota;
use crate::{
    metric::{Family, gauge, int_counter},
    protocol::Usage,
};

/// The label of callers that have none of their own.
pub(super) const OTHER: &str = "other";

/// The reasons to refuse a request: the values of the label `reason`.
pub(super) const REASONS: [&str; 10] = [
    "no_key",
    "unknown_key",
    "several_keys",
    "route",
    "model",
    "requests",
    "tokens",
    "shared",
    "queue_full",
    "queue_timeout",
];

/// The label `decision`, and the label `outcome` of a refused request.
const REFUSED: &str = "refused";
/// The values of the label `kind`.
const KINDS: [&str; 3] = ["prompt", "prompt_cached", "output"];

#[derive(Clone, Debug)]
pub(super) struct Families {
    decisions: Family<IntCounter, 2>,
    pub(super) admitted: Arc<IntCounter>,
    requests: Family<IntCounter, 2>,
    tokens: Family<IntCounter, 2>,
    limits: Family<Gauge, 2>,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Families> {
        let decisions = Family::register(
            registry,
            "admission_total",
            "Requests admitted or refused, by reason; the reason of an admitted request is `none`.",
            ["decision", "reason"],
            int_counter,
        )?;
        for reason in REASONS {
            let _ = decisions.child([REFUSED, reason]);
        }
        let requests = Family::register(
            registry,
            "caller_requests_total",
            "Requests that ended, by caller and outcome.",
            ["caller", "outcome"],
            int_counter,
        )?;
        let tokens = Family::register(
            registry,
            "caller_tokens_total",
            "Tokens by caller and kind; prompt_cached is part of prompt.",
            ["caller", "kind"],
            int_counter,
        )?;
        let limits = Family::register(
            registry,
            "caller_limit_per_second",
            "The configured limit of a caller, per second; kind is `requests` or `tokens`.",
            ["caller", "kind"],
            gauge,
        )?;
        let admitted = decisions.child(["admitted", "none"]);
        Ok(Families { admitted, decisions, requests, tokens, limits })
    }

    /// Creates a caller's series, at 0. `outcomes` are the values of the label `outcome`.
    pub(super) fn open(&self, caller: &str, outcomes: &[&str]) {
        // Admission itself counts the requests that it refuses, whatever `outcomes` contains.
        for outcome in outcomes.iter().chain([&REFUSED]) {
            let _ = self.requests.child([caller, outcome]);
        }
        for kind in KINDS {
            let _ = self.tokens.child([caller, kind]);
        }
    }

    /// Shows the limits in force, and no others.
    pub(super) fn limit(&self, limits: &[(&str, &'static str, Quota)]) {
        let holds =
            |[caller, kind]: &[String; 2]| limits.iter().any(|limit| (limit.0, limit.1) == (caller, kind));
        self.limits.retain(holds);
        for (caller, kind, quota) in limits {
            self.limits.child([caller, kind]).set(quota.per_second());
        }
    }

    /// Removes the series of callers that are gone.
    pub(super) fn close(&self, gone: &[String]) {
        let stays = |[caller, _]: &[String; 2]| !gone.contains(caller);
        self.requests.retain(stays);
        self.tokens.retain(stays);
    }

    pub(super) fn refused(&self, reason: &str) {
        self.decisions.child([REFUSED, reason]).inc();
    }

    /// Counts a caller's refused request, which has no permit.
    pub(super) fn turned_away(&self, caller: &str) {
        self.requests.child([caller, REFUSED]).inc();
    }

    pub(super) fn ended(&self, caller: &str, outcome: &str, usage: &Usage) {
        self.requests.child([caller, outcome]).inc();
        let counts = [usage.prompt_tokens, usage.prompt_cached_tokens, usage.output_tokens];
        for (kind, count) in KINDS.into_iter().zip(counts) {
            if let Some(count) = count {
                self.tokens.child([caller, kind]).inc_by(count);
            }
        }
    }
}
