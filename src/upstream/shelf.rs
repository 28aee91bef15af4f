//! The models of an upstream, and when their list may have changed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The greatest age of a probe's result that may show that no upstream has a model.
const FRESH: Duration = Duration::from_secs(1);

/// The changes that requests through this sidecar made to the set of models.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    running: usize,
    last: Option<Instant>,
}

impl Shelf {
    /// Notes the begin of a request that may change the set of models.
    pub(super) fn manage(self: &Arc<Self>) -> Managing {
        self.changes().running += 1;
        Managing(self.clone())
    }

    /// The time of the last change. Older results may lack models that exist now.
    pub(super) fn changed(&self) -> Option<Instant> {
        let now = Instant::now();
        let changes = self.changes();
        if changes.running > 0 { Some(now) } else { now.checked_sub(FRESH).max(changes.last) }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that may change the set of models, until it has ended.
#[derive(Debug)]
pub(crate) struct Managing(Arc<Shelf>);

impl Drop for Managing {
    fn drop(&mut self) {
        let mut changes = self.0.changes();
        changes.running -= 1;
        changes.last = Some(Instant::now());
    }
}
