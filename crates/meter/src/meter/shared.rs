//! The state that all measurements of a meter share.

use std::sync::{Arc, atomic::AtomicBool};

use super::{
    families::Families,
    live::LiveTable,
    model::{Claim, ModelTable, Place},
    noted::NotedRequests,
    noted_load::NotedLoads,
    prompt::Density,
    slow::SlowLimits,
    truncation::Truncation,
};

/// The label of models of the cloud that have no label of their own. It ends as the names of the cloud's models do.
pub(super) const OTHER_CLOUD: &str = "other:cloud";

/// The families of metrics, and the running requests.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) families: Families,
    pub(super) models: ModelTable,
    /// The bytes per token of models without a label, and their densest text.
    pub(super) density: Density,
    pub(super) truncation: Truncation,
    pub(super) live: Arc<LiveTable>,
    pub(super) noted: NotedRequests,
    pub(super) noted_loads: NotedLoads,
    pub(super) slow: SlowLimits,
    pub(super) cut: AtomicBool,
    /// The largest histograms have native buckets.
    pub(super) has_natives: bool,
}

impl Shared {
    pub(super) fn claim(&self, name: &str, label: &str, claim: Claim) -> Option<Arc<Place>> {
        self.models.claim(name, label, claim, |gone| self.families.forget(gone))
    }
}
