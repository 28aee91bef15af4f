//! Metrics of the limits that are found.

use std::sync::Arc;

use prometheus::{Counter, Gauge, Registry};

use super::{AutoLimit, LimitReason};
use crate::metric::{Family, counter, gauge};

/// `stream_limit`, `stream_limit_reason` and `stream_limit_probe_seconds_total`.
#[derive(Debug)]
pub(in crate::scheduler) struct AutoFamilies {
    limit: Family<Gauge, 1>,
    reason: Family<Gauge, 2>,
    lost: Family<Counter, 1>,
}

/// The metrics of one upstream.
#[derive(Debug)]
pub(in crate::scheduler) struct AutoMetrics {
    limit: Arc<Gauge>,
    reasons: [Arc<Gauge>; LimitReason::ALL.len()],
    lost: Arc<Counter>,
}

impl AutoFamilies {
    pub(in crate::scheduler) fn register(registry: &Registry) -> prometheus::Result<AutoFamilies> {
        Ok(AutoFamilies {
            limit: Family::register(
                registry,
                "stream_limit",
                "Streams that may run at an upstream with max_streams = \"auto\".",
                ["upstream"],
                gauge,
            )?,
            reason: Family::register(
                registry,
                "stream_limit_reason",
                "1 for the reason of the last change of streamgauge_stream_limit, 0 for the others.",
                ["upstream", "reason"],
                gauge,
            )?,
            lost: Family::register(
                registry,
                "stream_limit_probe_seconds_total",
                "Time that finding the limit cost: waits inside Ollama of streams above the limit, and unused slots, seconds.",
                ["upstream"],
                counter,
            )?,
        })
    }

    pub(in crate::scheduler) fn upstream(&self, name: &str) -> AutoMetrics {
        AutoMetrics {
            limit: self.limit.child([name]),
            reasons: LimitReason::ALL.map(|reason| self.reason.child([name, reason.label()])),
            lost: self.lost.child([name]),
        }
    }
}

impl AutoMetrics {
    /// Shows the present limit.
    pub(in crate::scheduler) fn show(&self, auto: &AutoLimit) {
        self.limit.set(auto.limit() as f64);
        for (reason, shown) in LimitReason::ALL.iter().zip(&self.reasons) {
            shown.set(f64::from(u8::from(*reason == auto.reason())));
        }
        self.lost.inc_by((auto.lost() - self.lost.get()).max(0.0));
    }
}
