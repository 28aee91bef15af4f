//! The building blocks of metrics: families keyed by all of their label values, and histograms that are filled
//! locally.
//!
//! Each stage creates its families here and registers them on the registry that it is given. The module has no
//! statics and uses no sibling.
//!
//! An embedding program needs [`Scrape`], [`Found`], [`Series`] and [`Buckets`]: they read the values of a registry. All
//! other items are public for the packages of streamgauge, which define their metrics with them.

mod bands;
pub mod buckets;
mod by_series;
mod exemplar;
mod exemplars;
mod exposition;
mod family;
mod histogram;
mod native;
mod native_histograms;
mod occupied;
mod openmetrics;
mod scrape;

pub(crate) use bands::band;
pub use bands::{BANDS, ByBand};
pub use exemplar::Exemplar;
pub use exemplars::Exemplars;
pub use exposition::{Exposition, Metric, Page};
pub use family::{Child, Family};
pub use histogram::{Histogram, LocalHistogram, Tally};
pub use native::{NATIVE_SCHEMA, NativeHistogram, NativeLayout, native_bound};
pub use native_histograms::NativeHistograms;
pub use occupied::Occupied;
pub use openmetrics::{OPENMETRICS_FORMAT, openmetrics};
pub use scrape::{Buckets, Found, Scrape, Series, number_of};

/// Creates a counter at zero, for [`Family::new`].
#[must_use]
pub fn counter() -> prometheus::Counter {
    prometheus::Counter::new("child", "child").expect("a valid name")
}

/// Creates a counter of integers at zero, for [`Family::new`].
#[must_use]
pub fn int_counter() -> prometheus::IntCounter {
    prometheus::IntCounter::new("child", "child").expect("a valid name")
}

/// Creates a gauge at zero, for [`Family::new`].
#[must_use]
pub fn gauge() -> prometheus::Gauge {
    prometheus::Gauge::new("child", "child").expect("a valid name")
}
