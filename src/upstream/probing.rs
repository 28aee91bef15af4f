//! The times of an upstream's probes, and requests for a fresh probe.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

/// How long a request waits for a fresh result. After that, the last result is used.
const PATIENCE: Duration = Duration::from_secs(1);

/// The probes of one upstream.
#[derive(Debug, Default)]
pub(super) struct Probing {
    wanted: Notify,
    /// When the last completed probe began.
    began: watch::Sender<Option<Instant>>,
}

impl Probing {
    /// Completes when a fresh probe is wanted.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Notes that the probe that began at `began` is complete.
    pub(super) fn answered(&self, began: Instant) {
        self.began.send_replace(Some(began));
    }

    /// Completes when the first probe is complete.
    #[cfg(feature = "cli")]
    pub(super) async fn first(&self) {
        // The sender lives as long as `self`.
        let _ = self.began.subscribe().wait_for(Option::is_some).await;
    }

    /// Completes when the result is at least as young as `since`, or when waiting takes too long.
    pub(super) async fn fresh(&self, since: Instant) {
        let mut began = self.began.subscribe();
        if self.ask_since(since) {
            // The sender lives as long as `self`.
            let _ = timeout(PATIENCE, began.wait_for(|began| is_fresh(*began, since))).await;
        }
    }

    /// Requests a probe, unless the result is at least as young as `since`. Does not wait for it.
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
