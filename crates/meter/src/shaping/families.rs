//! The metrics of this stage.

use std::{fmt, sync::Arc};

use prometheus::{Counter, Gauge, IntCounter, Registry};

use crate::metric::{Family, counter, gauge, int_counter};

/// The families, registered. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Families {
    pub(super) records_in: Arc<IntCounter>,
    pub(super) records_out: Arc<IntCounter>,
    pub(super) buffer_bytes: Arc<Gauge>,
    pub(super) pace_delay: Arc<Counter>,
    pub(super) coalesce_delay: Arc<Counter>,
    pace: Family<Gauge, 1>,
}

impl Families {
    /// Registers every family of this stage.
    ///
    /// # Errors
    /// `registry` already has one of the names.
    pub fn register(registry: &Registry) -> prometheus::Result<Families> {
        let delay = Family::register(
            registry,
            "shaping_delay_seconds_total",
            "Time from a record's arrival in a layer to its departure, summed over records, seconds.",
            ["kind"],
            counter,
        )?;
        let records_in = Family::register(
            registry,
            "shaping_records_in_total",
            "Records that entered the first shaping layer of a stream.",
            [],
            int_counter,
        )?;
        let records_out = Family::register(
            registry,
            "shaping_records_out_total",
            "Records that left the last shaping layer of a stream.",
            [],
            int_counter,
        )?;
        let buffer_bytes = Family::register(
            registry,
            "shaping_buffer_bytes",
            "Bytes that the shaping layers of all streams hold now.",
            [],
            gauge,
        )?;
        let pace = Family::register(
            registry,
            "pace_tokens_per_second",
            "The pace of each stream of a caller, tokens per second. 0: no pace.",
            ["caller"],
            gauge,
        )?;
        Ok(Families {
            records_in: records_in.child([]),
            records_out: records_out.child([]),
            buffer_bytes: buffer_bytes.child([]),
            pace_delay: delay.child(["pace"]),
            coalesce_delay: delay.child(["coalesce"]),
            pace,
        })
    }

    /// Returns the gauge of a caller's pace.
    pub(super) fn pace(&self, caller: &str) -> Arc<Gauge> {
        self.pace.child([caller])
    }

    /// Sets another pace for all callers.
    pub(super) fn pace_is(&self, pace: u32) {
        self.pace.each(|gauge| gauge.set(f64::from(pace)));
    }

    pub(super) fn forget(&self, callers: &[String]) {
        self.pace.retain(|[caller]| !callers.contains(caller));
    }
}

/// The bytes that a layer holds. They are shown until they are passed on or the layer is dropped.
pub(super) struct Held {
    gauge: Arc<Gauge>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(families: &Families) -> Held {
        Held { gauge: families.buffer_bytes.clone(), bytes: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.gauge.add(bytes as f64);
    }

    pub(super) fn set(&mut self, bytes: usize) {
        self.gauge.add(bytes as f64 - self.bytes as f64);
        self.bytes = bytes;
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.gauge.sub(bytes as f64);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.bytes).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes as f64);
    }
}

/// Counts the records of a layer: those that enter if it is the first layer of a stream, and those that leave if it
/// is the last.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordTally {
    pub(super) records_in: Option<Arc<IntCounter>>,
    pub(super) records_out: Option<Arc<IntCounter>>,
}

impl RecordTally {
    pub(super) fn came(&self, records: u64) {
        if let Some(counter) = &self.records_in {
            counter.inc_by(records);
        }
    }

    pub(super) fn left(&self, records: u64) {
        if let Some(counter) = &self.records_out {
            counter.inc_by(records);
        }
    }
}
