//! The metrics of admission.

use std::{sync::Arc, time::Duration};

use prometheus::{Counter, Gauge, IntCounter, Registry};

use super::Quota;
use crate::{
    metric::{Family, counter, gauge, int_counter},
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
    first_tokens: Family<IntCounter, 1>,
    first_token_seconds: Family<Counter, 1>,
    backpressure: Family<Counter, 1>,
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
        let first_tokens = Family::register(
            registry,
            "caller_first_tokens_total",
            "Streams that ended and had content, by caller.",
            ["caller"],
            int_counter,
        )?;
        let seconds = |name, help| Family::register(registry, name, help, ["caller"], counter);
        let first_token_seconds = seconds(
            "caller_first_token_seconds_total",
            "Time to first token, summed over the streams of caller_first_tokens_total, seconds.",
        )?;
        let backpressure = seconds(
            "caller_backpressure_seconds_total",
            "Time in which clients of a caller did not read data that was there, seconds.",
        )?;
        let limits = Family::register(
            registry,
            "caller_limit_per_second",
            "The configured limit of a caller, per second; kind is `requests` or `tokens`.",
            ["caller", "kind"],
            gauge,
        )?;
        let admitted = decisions.child(["admitted", "none"]);
        Ok(Families {
            decisions,
            admitted,
            requests,
            tokens,
            first_tokens,
            first_token_seconds,
            backpressure,
            limits,
        })
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
        let _ = self.first_tokens.child([caller]);
        let _ = self.first_token_seconds.child([caller]);
        let _ = self.backpressure.child([caller]);
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
        let stays = |[caller]: &[String; 1]| !gone.contains(caller);
        self.first_tokens.retain(stays);
        self.first_token_seconds.retain(stays);
        self.backpressure.retain(stays);
    }

    pub(super) fn refused(&self, reason: &str) {
        self.decisions.child([REFUSED, reason]).inc();
    }

    /// Counts a caller's refused request, which has no permit.
    pub(super) fn turned_away(&self, caller: &str) {
        self.requests.child([caller, REFUSED]).inc();
    }

    /// Returns the counter of the time in which clients of a caller do not read.
    pub(super) fn backpressure(&self, caller: &str) -> Arc<Counter> {
        self.backpressure.child([caller])
    }

    /// Counts the time to the first content of a stream that ended.
    pub(super) fn first_token(&self, caller: &str, time: Duration) {
        self.first_tokens.child([caller]).inc();
        self.first_token_seconds.child([caller]).inc_by(time.as_secs_f64());
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
