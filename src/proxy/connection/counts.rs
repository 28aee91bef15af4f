//! The counters of client connections.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter};
use tokio::task::JoinError;

/// Counters of connections.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) open: Arc<Gauge>,
    pub(crate) refused: Arc<IntCounter>,
    pub(crate) idle: Arc<IntCounter>,
    pub(crate) lingering: Arc<IntCounter>,
    pub(crate) vanished: Arc<IntCounter>,
    pub(crate) stalled: Arc<IntCounter>,
    /// `None`: the listener has no TLS.
    pub(crate) unsecured: Option<Arc<IntCounter>>,
    pub(crate) panics: Arc<IntCounter>,
}

impl Counts {
    /// Counts a connection that panicked.
    pub(in crate::proxy) fn ended(&self, ended: Result<(), JoinError>) {
        // A panic in a body ends only the stream of its own connection.
        if ended.is_err_and(|error| error.is_panic()) {
            self.panics.inc();
            tracing::error!("a connection panicked, which is a bug");
        }
    }
}
