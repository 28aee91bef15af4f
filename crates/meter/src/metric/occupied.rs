//! A gauge of the number of things that exist now.

use std::sync::Arc;

use prometheus::Gauge;

/// Adds one to a gauge until it is dropped.
#[derive(Debug)]
pub struct Occupied(Arc<Gauge>);

impl Occupied {
    /// Adds one.
    #[must_use]
    pub fn enter(gauge: Arc<Gauge>) -> Occupied {
        gauge.inc();
        Occupied(gauge)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.dec();
    }
}
