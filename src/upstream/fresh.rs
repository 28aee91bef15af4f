//! Keeps what is known of the models up to date where a request needs it.

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

    /// Learns which upstreams have a model that none of them has as far as is known: it may have been pulled a moment ago.
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

    /// Learns whether a model is there after all. However many models there are not, an upstream is asked once a
    /// second for them, unless something changed since.
    pub(super) async fn look_again(&self) {
        if let Some(since) = self.shelf.changed() {
            self.fresh(since).await;
        }
    }

    /// The same for one upstream, without waiting. The result comes in time for the label of the model.
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
