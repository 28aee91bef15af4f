//! Metrics of the queue.

use std::sync::Arc;

use prometheus::{Gauge, Registry};

use super::{
    auto::AutoFamilies,
    priority::{CLASSES, Priority},
};
use crate::metric::{Family, Histogram, buckets, gauge};

/// The metrics of the queue, by priority.
pub(super) struct Families {
    depth: [Arc<Gauge>; CLASSES],
    wait: [Arc<Histogram>; CLASSES],
    /// The metrics of the limits that are found.
    pub(super) auto: AutoFamilies,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Families> {
        let depth = Family::register(
            registry,
            "queue_depth",
            "Requests that wait in the sidecar for a slot.",
            ["priority"],
            gauge,
        )?;
        let wait = Family::register(
            registry,
            "queue_wait_seconds",
            "Time that requests waited in the sidecar until they got a slot. Ollama's own queue comes after it.",
            ["priority"],
            || Histogram::new(buckets::PHASE),
        )?;
        Ok(Families {
            depth: Priority::ALL.map(|priority| depth.child([priority.label()])),
            wait: Priority::ALL.map(|priority| wait.child([priority.label()])),
            auto: AutoFamilies::register(registry)?,
        })
    }

    pub(super) fn depth(&self, priority: Priority) -> Arc<Gauge> {
        self.depth[priority.class()].clone()
    }

    pub(super) fn wait(&self, priority: Priority) -> &Histogram {
        &self.wait[priority.class()]
    }
}
