//! Whether the endpoint takes spans, for the log.

use tokio::time::Instant;
use url::Url;

use super::delivery::Undelivered;

/// The state of the endpoint. A change of it is one line in the log.
#[derive(Debug, Default)]
pub(super) struct EndpointHealth {
    /// Whether the last request worked; `None`: there was none.
    works: Option<bool>,
    /// When the endpoint began to fail.
    failed: Option<Instant>,
}

impl EndpointHealth {
    pub(super) fn works(&mut self, endpoint: &Url) {
        if self.works.replace(true) == Some(true) {
            return;
        }
        let after_s = self.failed.take().map(|since| since.elapsed().as_secs_f64());
        tracing::info!(%endpoint, after_s, "traces are exported");
    }

    pub(super) fn fails(&mut self, endpoint: &Url, why: &Undelivered) {
        if self.works.replace(false) == Some(false) {
            return;
        }
        self.failed = Some(Instant::now());
        tracing::warn!(%endpoint, %why, "traces are not exported: the endpoint failed");
    }
}
