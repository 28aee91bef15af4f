//! The models of an upstream, and when their list may have changed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How old the result of a probe may be when it says that no upstream has a model.
const FRESH: Duration = Duration::from_secs(1);

/// When requests through this sidecar last changed the set of models.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    running: usize,
    last: Option<Instant>,
}

impl Shelf {
    /// A request begins that may change which models there are.
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
