//! When an upstream was asked how it fares, and the wish to know it as it is now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

use super::{Upstream, Upstreams};

/// What is younger is believed when it says that a model is nowhere.
const FRESH: Duration = Duration::from_secs(1);
/// One that does not tell in this time is known as it was.
const PATIENCE: Duration = Duration::from_secs(1);

/// The probes of one upstream.
#[derive(Debug, Default)]
pub(super) struct Probing {
    wanted: Notify,
    /// When the last one that has its answer began.
    began: watch::Sender<Option<Instant>>,
}

impl Probing {
    /// Somebody wants to know at once.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A probe that began then has its answer.
    pub(super) fn answered(&self, began: Instant) {
        self.began.send_replace(Some(began));
    }

    /// The first probe has its answer.
    #[cfg(feature = "cli")]
    async fn first(&self) {
        // The sender is here as long as this is.
        let _ = self.began.subscribe().wait_for(Option::is_some).await;
    }

    /// What is known is at least as young as `since`, or will not be soon.
    async fn fresh(&self, since: Instant) {
        let mut began = self.began.subscribe();
        if self.ask_since(since) {
            // The sender is here as long as this is.
            let _ = timeout(PATIENCE, began.wait_for(|began| is_fresh(*began, since))).await;
        }
    }

    /// Asks at once, unless what is known is at least as young as `since`. Nobody waits for the answer.
    fn ask_since(&self, since: Instant) -> bool {
        let asks = !is_fresh(*self.began.borrow(), since);
        if asks {
            self.wanted.notify_one();
        }
        asks
    }
}

fn is_fresh(began: Option<Instant>, since: Instant) -> bool {
    began.is_some_and(|began| began >= since)
}

/// Which models there are changes through us, now or a moment ago.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    running: usize,
    last: Option<Instant>,
}

impl Shelf {
    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that may change which models there are, until it has ended.
#[derive(Debug)]
pub(crate) struct Managing(Arc<Shelf>);

impl Drop for Managing {
    fn drop(&mut self) {
        let mut changes = self.0.changes();
        changes.running -= 1;
        changes.last = Some(Instant::now());
    }
}

impl Upstreams {
    /// Holds that a request of this route, if it is of those, may change which models there are.
    #[must_use]
    pub(crate) fn managing(&self, route: crate::protocol::Route) -> Option<Managing> {
        super::choose::manages(route).then(|| {
            self.shelf.changes().running += 1;
            Managing(self.shelf.clone())
        })
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
        if let Some(since) = self.changed() {
            self.fresh(since).await;
        }
    }

    /// The same for one upstream, and nobody waits: its answer is in time for the label of the model.
    pub(super) fn look_again_at(&self, upstream: &Upstream) {
        if let Some(since) = self.changed() {
            upstream.probing.ask_since(since);
        }
    }

    /// What is older may not have the models that there are.
    fn changed(&self) -> Option<Instant> {
        let now = Instant::now();
        let changes = self.shelf.changes();
        if changes.running > 0 { Some(now) } else { now.checked_sub(FRESH).max(changes.last) }
    }

    async fn fresh(&self, since: Instant) {
        let alive = self.all.iter().filter(|upstream| upstream.health().alive);
        future::join_all(alive.map(|upstream| upstream.probing.fresh(since))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn probe_result_counts_only_if_probe_began_later() {
        let probing = Arc::new(Probing::default());
        let before = Instant::now();
        tokio::time::advance(Duration::from_millis(10)).await;
        let asked = Instant::now();
        let fresh = {
            let probing = probing.clone();
            tokio::spawn(async move { probing.fresh(asked).await })
        };
        probing.wanted().await;
        probing.answered(before);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!fresh.is_finished());
        probing.answered(asked);
        fresh.await.unwrap();
        assert_eq!(asked.elapsed(), Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn probe_without_result_is_not_awaited_for_long() {
        let began = Instant::now();
        Probing::default().fresh(began).await;
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
