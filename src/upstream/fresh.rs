//! Keeps what is known of the models up to date where a request needs it.

use futures_util::future;
use tokio::time::Instant;

use super::{Managing, Upstream, Upstreams, choose::manages};
use crate::protocol::Route;

impl Upstreams {
    /// Holds that a request of this route, if it is of those, may change which models there are.
    #[must_use]
    pub(crate) fn managing(&self, route: Route) -> Option<Managing> {
        manages(route).then(|| self.shelf.manage())
    }

    /// Every upstream was probed once.
    #[cfg(feature = "cli")]
    pub(crate) async fn first_probes(&self) {
        future::join_all(self.all.iter().map(|upstream| upstream.probing.first())).await;
    }

    /// Learns what the upstreams that answer have now. Those who ask together wait for one probe, for a second at
    /// most.
    pub(super) async fn freshen(&self) {
        self.fresh(Instant::now()).await;
    }

    /// Learns whether a model is there after all. However many models there are not, an upstream is asked once a
    /// second for them, unless something changed since.
    pub(super) async fn look_again(&self) {
        if let Some(since) = self.shelf.changed() {
            self.fresh(since).await;
        }
    }

    /// The same for one upstream, and nobody waits: its answer is in time for the label of the model.
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
