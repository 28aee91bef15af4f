//! The metrics of shared limits.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, Registry};

use super::{failure::StoreFailure, policy::OnFailure, script::Script, verdict::SharedStatus};
use crate::metric::{Family, Histogram, gauge, int_counter};

/// Seconds of a call: some 0.1 ms on the same machine, and no request waits longer than the deadline.
const CALL: &[f64] = &[1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.5];

/// The source of a decision about a request, for the label `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecidedBy {
    /// The store.
    Store,
    /// An earlier answer of the store.
    Memory,
    /// The store did not answer.
    Fallback(OnFailure),
}

impl DecidedBy {
    const ALL: [DecidedBy; 5] = [
        DecidedBy::Store,
        DecidedBy::Memory,
        DecidedBy::Fallback(OnFailure::Local),
        DecidedBy::Fallback(OnFailure::Open),
        DecidedBy::Fallback(OnFailure::Closed),
    ];

    const fn label(self) -> &'static str {
        match self {
            DecidedBy::Store => "store",
            DecidedBy::Memory => "memory",
            DecidedBy::Fallback(policy) => policy.label(),
        }
    }
}

const MODES: [&str; 4] = ["shared", "local", "open", "closed"];
const REASONS: [&str; 4] = ["timeout", "connection", "refused", "foreign_key"];

#[derive(Debug)]
pub(super) struct Families {
    mode: Family<Gauge, 1>,
    decisions: Family<IntCounter, 1>,
    calls: Family<Histogram, 1>,
    failures: Family<IntCounter, 1>,
    lost: Arc<IntCounter>,
    sidecars: Arc<Gauge>,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Families> {
        let mode = "1 for the mode of the shared limits that is in force, otherwise 0.";
        let mode = Family::register(registry, "shared_mode", mode, ["mode"], gauge)?;
        let decisions = "Decisions about requests of callers with shared limits, by what decided.";
        let decisions =
            Family::register(registry, "shared_decisions_total", decisions, ["source"], int_counter)?;
        let calls = "Time of a call to the store of shared limits, by call, with the calls that failed.";
        let calls =
            Family::register(registry, "shared_call_seconds", calls, ["call"], || Histogram::new(CALL))?;
        let failures = "Calls to the store of shared limits and connections to it that failed, by reason.";
        let failures =
            Family::register(registry, "shared_failures_total", failures, ["reason"], int_counter)?;
        let lost = "Tokens that were not charged to shared limits because the store did not answer twice.";
        let lost = Family::register(registry, "shared_charges_lost_total", lost, [], int_counter)?;
        let sidecars = "Sidecars that share the limits, as the store last told.";
        let sidecars = Family::register(registry, "shared_sidecars", sidecars, [], gauge)?;
        let families =
            Families { mode, decisions, calls, failures, lost: lost.child([]), sidecars: sidecars.child([]) };
        for source in DecidedBy::ALL {
            let _ = families.decisions.child([source.label()]);
        }
        for reason in REASONS {
            let _ = families.failures.child([reason]);
        }
        for script in [Script::Admit, Script::Settle] {
            let _ = families.calls.child([script.label()]);
        }
        for mode in MODES {
            let _ = families.mode.child([mode]);
        }
        Ok(families)
    }

    pub(super) fn show(&self, status: &SharedStatus) {
        for mode in MODES {
            self.mode.child([mode]).set(f64::from(u8::from(mode == status.mode)));
        }
        self.sidecars.set(f64::from(status.sidecars));
    }

    pub(super) fn decided(&self, source: DecidedBy) {
        self.decisions.child([source.label()]).inc();
    }

    pub(super) fn called(&self, script: Script, seconds: f64) {
        self.calls.child([script.label()]).observe(seconds);
    }

    pub(super) fn failed(&self, why: &StoreFailure) {
        self.failures.child([why.reason()]).inc();
    }

    pub(super) fn lost(&self, tokens: u64) {
        self.lost.inc_by(tokens);
    }
}
