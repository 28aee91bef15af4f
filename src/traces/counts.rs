//! The spans that wait, and what became of the others.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::families::Families;

/// The spans in the queue and in the hands of the exporter, and what became of the others.
#[derive(Debug)]
pub(super) struct SpanCounts {
    pub(super) families: Families,
    held: AtomicUsize,
}

impl SpanCounts {
    pub(super) fn new(families: Families) -> SpanCounts {
        SpanCounts { families, held: AtomicUsize::new(0) }
    }

    /// A span waits.
    pub(super) fn take(&self) {
        self.families.queued(self.held.fetch_add(1, Relaxed) + 1);
    }

    /// The fate of spans is counted.
    pub(super) fn give(&self, spans: usize) {
        self.families.queued(self.held.fetch_sub(spans, Relaxed) - spans);
    }

    /// The spans whose fate is not counted.
    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}
