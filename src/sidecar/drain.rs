//! The end: no new requests, those that run may end, a deadline.

use std::time::Duration;

use crate::{meter::Meter, proxy::Draining};

/// Waits for the connections until the deadline. Those that are left then are cut, and recorded as refused.
pub(super) async fn drain(mut connections: Draining, deadline: Duration, meter: &Meter) {
    if connections.left() > 0 {
        tracing::info!(connections = connections.left(), ?deadline, "draining");
    }
    if tokio::time::timeout(deadline, connections.end()).await.is_err() {
        tracing::warn!(connections = connections.left(), "cut after the drain's deadline");
        meter.cut();
        connections.cut().await;
    }
}
