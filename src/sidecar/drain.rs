//! The end of the sidecar: no new requests, and running ones may continue until a deadline.

use std::time::Duration;

use crate::{meter::Meter, proxy::Draining};

/// Waits for the connections until the deadline, then cuts the remaining ones. Their requests are recorded as
/// refused.
pub(super) async fn drain(mut connections: Draining, deadline: Duration, meter: &Meter) {
    if connections.left() > 0 {
        tracing::info!(connections = connections.left(), ?deadline, "draining");
    }
    if tokio::time::timeout(deadline, connections.end()).await.is_err() {
        tracing::warn!(
            connections = connections.left(),
            "cut the remaining connections at the drain deadline"
        );
        meter.cut();
        connections.cut().await;
    }
}
