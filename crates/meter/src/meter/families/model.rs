//! The families of models: their loads, the phases of their generations, and their labels.

use std::sync::Arc;

use prometheus::{IntCounter, Registry};

use crate::metric::{Family, Histogram, buckets, int_counter};

#[derive(Debug)]
pub(in crate::meter) struct ModelFamilies {
    pub(in crate::meter) phase: Family<Histogram, 2>,
    pub(super) loads: Family<IntCounter, 3>,
    pub(in crate::meter) labels_dropped: Arc<IntCounter>,
}

impl ModelFamilies {
    pub(super) fn register(registry: &Registry, natives: bool) -> prometheus::Result<ModelFamilies> {
        let labels_dropped = Family::register(
            registry,
            "model_labels_dropped_total",
            "How often a model lost its label to a more recently used model.",
            [],
            int_counter,
        )?;
        Ok(ModelFamilies {
            phase: Family::register(
                registry,
                "phase_seconds",
                "How the time of a generation is divided, seconds.",
                ["model", "phase"],
                move || Histogram::maybe_native(natives, &buckets::PHASE_NATIVE),
            )?,
            loads: Family::register(
                registry,
                "model_loads_total",
                "Loads of models into memory, by cause.",
                ["upstream", "model", "cause"],
                int_counter,
            )?,
            labels_dropped: labels_dropped.child([]),
        })
    }

    /// Ends the series of a model, whose label another model takes.
    pub(super) fn forget(&self, model: &str) {
        self.phase.retain(|[known, _]| known != model);
        self.loads.retain(|[_, known, _]| known != model);
        self.labels_dropped.inc();
    }
}
