//! The request to end the process: drain at first, stop at once at the second signal.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

/// The state of the first and the second signal. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    drain: CancellationToken,
    now: CancellationToken,
}

impl Stop {
    /// The first call requests to drain, the second to stop at once.
    pub fn raise(&self) {
        if self.drain.is_cancelled() {
            self.now.cancel();
        } else {
            self.drain.cancel();
        }
    }

    /// Completes when a drain is requested.
    pub(super) fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        self.drain.clone().cancelled_owned()
    }

    /// Whether a drain is requested.
    pub(super) fn is_raised(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Runs `server`, which ends by itself after a drain. The second signal drops it.
    pub(super) async fn bounds(&self, server: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            biased;
            () = self.now.cancelled() => bail!("a second signal stopped the process before all streams ended"),
            () = server => {
                tracing::info!("stopped");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn first_signal_drains_and_second_signal_stops() {
        let stop = Stop::default();
        stop.raise();
        assert!(stop.bounds(stop.drain()).await.is_ok());

        let never_drained = stop.bounds(std::future::pending());
        stop.raise();
        assert!(never_drained.await.is_err());
    }
}
