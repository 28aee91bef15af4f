//! The metrics of traces.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, Registry};

use super::delivery::Undelivered;
use crate::metric::{Family, gauge, int_counter};

/// Why a span was dropped, for the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// The queue was full.
    Queue,
    /// The endpoint did not take it, for as long as it was tried.
    Undelivered,
    /// The endpoint refused the request with it.
    Refused,
    /// The endpoint took the request, and rejected the span.
    Rejected,
    /// The sidecar ended.
    Shutdown,
}

impl DropReason {
    const ALL: [DropReason; 5] = [
        DropReason::Queue,
        DropReason::Undelivered,
        DropReason::Refused,
        DropReason::Rejected,
        DropReason::Shutdown,
    ];

    const fn label(self) -> &'static str {
        match self {
            DropReason::Queue => "queue_full",
            DropReason::Undelivered => "undelivered",
            DropReason::Refused => "refused",
            DropReason::Rejected => "rejected",
            DropReason::Shutdown => "shutdown",
        }
    }
}

#[derive(Debug)]
pub(super) struct Families {
    exported: Arc<IntCounter>,
    dropped: [Arc<IntCounter>; DropReason::ALL.len()],
    failures: Family<IntCounter, 1>,
    /// The spans in the queue and in the hands of the exporter.
    queued: Arc<Gauge>,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Families> {
        let exported = "Spans that the endpoint of traces took.";
        let exported = Family::register(registry, "trace_spans_exported_total", exported, [], int_counter)?;
        let dropped = "Spans that were dropped, by reason.";
        let dropped =
            Family::register(registry, "trace_spans_dropped_total", dropped, ["reason"], int_counter)?;
        let failures = "Requests to the endpoint of traces that failed, by reason.";
        let failures =
            Family::register(registry, "trace_export_failures_total", failures, ["reason"], int_counter)?;
        let queued = "Spans that wait to be exported.";
        let queued = Family::register(registry, "trace_spans_queued", queued, [], gauge)?;
        for reason in Undelivered::REASONS {
            let _ = failures.child([reason]);
        }
        Ok(Families {
            exported: exported.child([]),
            dropped: DropReason::ALL.map(|reason| dropped.child([reason.label()])),
            failures,
            queued: queued.child([]),
        })
    }

    pub(super) fn exported(&self, spans: u64) {
        self.exported.inc_by(spans);
    }

    pub(super) fn dropped(&self, reason: DropReason, spans: u64) {
        self.dropped[reason as usize].inc_by(spans);
    }

    pub(super) fn failed(&self, why: &Undelivered) {
        self.failures.child([why.reason()]).inc();
    }

    /// A span waits.
    pub(super) fn took(&self) {
        self.queued.inc();
    }

    /// The fate of spans that waited is counted.
    pub(super) fn gave(&self, spans: usize) {
        self.queued.sub(spans as f64);
    }

    /// The spans whose fate is not counted.
    pub(super) fn held(&self) -> u64 {
        self.queued.get() as u64
    }
}
