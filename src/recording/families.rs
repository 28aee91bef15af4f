//! The metrics of the recording.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, Registry};

use super::stream::Stored;
use crate::metric::{Family, gauge, int_counter};

#[derive(Clone, Debug)]
pub(super) struct Families {
    pub(super) written: Arc<IntCounter>,
    /// The generations that the sink did not take.
    pub(super) failed: Arc<IntCounter>,
    /// The generations for which the queue had no room.
    pub(super) dropped: Arc<IntCounter>,
    /// The chunks for which there was no memory.
    pub(super) chunks_dropped: Arc<IntCounter>,
    bytes: Arc<Gauge>,
    removed: Arc<IntCounter>,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Families> {
        let streams = "Generations that were recorded, by whether they were written.";
        let streams =
            Family::register(registry, "recording_streams_total", streams, ["result"], int_counter)?;
        let chunks =
            "Chunks of recorded generations that are missing in the recording, because memory was full.";
        let chunks = Family::register(registry, "recording_chunks_dropped_total", chunks, [], int_counter)?;
        let bytes = "Size of the recordings in the folder, bytes.";
        let bytes = Family::register(registry, "recording_bytes", bytes, [], gauge)?;
        let removed = "Oldest parts of the recording that were removed, because the folder was full.";
        let removed = Family::register(registry, "recording_parts_removed_total", removed, [], int_counter)?;
        let [written, failed, dropped] =
            ["written", "failed", "dropped"].map(|result| streams.child([result]));
        Ok(Families {
            written,
            failed,
            dropped,
            chunks_dropped: chunks.child([]),
            bytes: bytes.child([]),
            removed: removed.child([]),
        })
    }

    pub(super) fn stored(&self, stored: Stored) {
        self.bytes.set(stored.bytes as f64);
        self.removed.inc_by(stored.removed.saturating_sub(self.removed.get()));
    }
}
