//! Brings the lists of models up to date when a request needs it.

use futures_util::future;
use tokio::time::Instant;

use super::{
    Managing, Upstream, Upstreams,
    choose::{is_of_primary, manages},
};
use crate::protocol::{Route, is_cloud_model};

impl Upstreams {
    /// A guard for a request of this route, if the route may change the set of models.
    #[must_use]
    pub(crate) fn managing(&self, route: Route) -> Option<Managing> {
        manages(route).then(|| self.shelf.manage())
    }

    /// Completes when every upstream has been probed once.
    #[cfg(feature = "cli")]
    pub(crate) async fn first_probes(&self) {
        future::join_all(self.all.iter().map(|upstream| upstream.probing.first())).await;
    }

    /// Waits for a fresh result of all upstreams that answer. Concurrent callers share one probe and wait for one
    /// second at most.
    pub(super) async fn freshen(&self) {
        self.fresh(Instant::now()).await;
    }

    /// Looks again for a model that no upstream is known to have, because it may have been pulled a moment ago.
    /// `model` is canonical.
    pub(crate) async fn learn(&self, route: Route, model: Option<&str>) {
        let Some(model) = model.filter(|model| !is_of_primary(route) && !is_cloud_model(model)) else {
            return;
        };
        match self.all.as_slice() {
            [only] => {
                if only.health().listed(model) == Some(None) {
                    self.look_again_at(only);
                }
            }
            all => {
                if !all.iter().any(|upstream| upstream.health().has(model)) {
                    self.look_again().await;
                }
            }
        }
    }

    /// Looks again for a model on all upstreams. Missing models cost an upstream at most one probe per second, unless
    /// the set of models changed.
    pub(super) async fn look_again(&self) {
        if let Some(since) = self.shelf.changed() {
            self.fresh(since).await;
        }
    }

    /// Looks again on one upstream, without waiting. The result comes in time for the label of the model.
    pub(super) fn look_again_at(&self, upstream: &Upstream) {
        if let Some(since) = self.shelf.changed() {
            upstream.probing.ask_since(since);
        }
    }

    async fn fresh(&self, since: Instant) {
        let alive = self.all.iter().filter(|upstream| upstream.health().alive);
        future::join_all(alive.map(|upstream| upstream.probing.fresh(since))).await;
    }
}
