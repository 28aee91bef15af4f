//! What metrics are made of: families keyed by their label values whole, histograms filled locally.
//!
//! Every stage that measures something makes its families here and registers them on the registry that it is
//! handed. No statics, no siblings.

pub mod buckets;
mod exposition;
mod family;
mod histogram;
mod occupied;
mod scrape;

pub use exposition::{Exposition, Metric, Page};
pub use family::{Child, Family};
pub use histogram::{Histogram, LocalHistogram, Tally};
pub use occupied::Occupied;
pub use scrape::{Buckets, Found, Scrape, Series};

/// A counter at zero, for [`Family::new`].
#[must_use]
pub fn counter() -> prometheus::Counter {
    prometheus::Counter::new("child", "child").expect("a valid name")
}

/// A counter of whole numbers at zero, for [`Family::new`].
#[must_use]
pub fn int_counter() -> prometheus::IntCounter {
    prometheus::IntCounter::new("child", "child").expect("a valid name")
}

/// A gauge at zero, for [`Family::new`].
#[must_use]
pub fn gauge() -> prometheus::Gauge {
    prometheus::Gauge::new("child", "child").expect("a valid name")
}
