//! The families of records and their scan.

use std::sync::Arc;

use prometheus::{IntCounter, Registry};

use crate::metric::{Family, Histogram, buckets, int_counter};

/// `records_unscanned_total`, by the label `reason`.
#[derive(Clone, Debug)]
pub(in crate::meter) struct UnscannedCounters {
    pub(in crate::meter) too_long: Arc<IntCounter>,
    pub(in crate::meter) malformed: Arc<IntCounter>,
    /// The meter itself failed.
    pub(in crate::meter) failed: Arc<IntCounter>,
    pub(in crate::meter) coding: Arc<IntCounter>,
}

#[derive(Debug)]
pub(in crate::meter) struct RecordFamilies {
    pub(super) total: Family<IntCounter, 2>,
    pub(in crate::meter) unscanned: UnscannedCounters,
    pub(in crate::meter) scan_seconds: Arc<Histogram>,
}

impl RecordFamilies {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<RecordFamilies> {
        let unscanned = Family::register(
            registry,
            "records_unscanned_total",
            "Records that were forwarded without being understood.",
            ["reason"],
            int_counter,
        )?;
        let scan_seconds = Family::register(
            registry,
            "record_scan_seconds",
            "Time to scan one record, sampled, seconds.",
            [],
            || Histogram::new(buckets::SCAN),
        )?;
        Ok(RecordFamilies {
            total: Family::register(
                registry,
                "records_total",
                "Records that arrived, by kind.",
                ["model", "kind"],
                int_counter,
            )?,
            unscanned: UnscannedCounters {
                too_long: unscanned.child(["too_long"]),
                malformed: unscanned.child(["malformed"]),
                failed: unscanned.child(["failed"]),
                coding: unscanned.child(["coding"]),
            },
            scan_seconds: scan_seconds.child([]),
        })
    }

    /// Ends the series of a model.
    pub(super) fn forget(&self, model: &str) {
        self.total.retain(|[known, _]| known != model);
    }
}
