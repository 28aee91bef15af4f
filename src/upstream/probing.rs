//! When an upstream was asked how it fares, and the wish to know it as it is now.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

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
    pub(super) async fn first(&self) {
        // The sender is here as long as this is.
        let _ = self.began.subscribe().wait_for(Option::is_some).await;
    }

    /// What is known is at least as young as `since`, or will not be soon.
    pub(super) async fn fresh(&self, since: Instant) {
        let mut began = self.began.subscribe();
        if self.ask_since(since) {
            // The sender is here as long as this is.
            let _ = timeout(PATIENCE, began.wait_for(|began| is_fresh(*began, since))).await;
        }
    }

    /// Asks at once, unless what is known is at least as young as `since`. Nobody waits for the answer.
    pub(super) fn ask_since(&self, since: Instant) -> bool {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
