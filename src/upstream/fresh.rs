//! Keeps what is known of the models up to date where a request needs it.

use futures_util::future;
use tokio::time::Instant;

use super::{Managing, Upstream, Upstreams, choose::manages};
use crate::protocol::Route;

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

    /// Probes again to learn whether a missing model exists after all. An upstream is probed at most once a second
    /// for this, unless the set of models has changed since.
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
