//! What is measured of a stream, and how it is recorded.
//!
//! [`Meter::register`] once, [`Meter::start`] for each request, then [`Measurement::wrap_body`] around the
//! response's body: the guards travel with the body, and whichever way it ends, its ending is recorded once.
#![expect(clippy::disallowed_types, reason = "it measures in programs without tokio too")]

mod concurrency;
mod delivered;
mod ending;
mod families;
mod live;
mod measurement;
mod model;
mod outcome;
mod schedule;
mod tap;
#[cfg(test)]
mod tests;
mod waiting;
mod wrap;

#[cfg(feature = "agent")]
pub(crate) use concurrency::BANDS;
pub use concurrency::Bands;
pub use delivered::Delivered;
pub use live::{Live, Snapshot};
pub use measurement::{DeliveredBy, Ending, Facts, Measurement};
pub use outcome::Outcome;
pub use tap::Tap;
pub use wrap::BodyStream;

use std::sync::Arc;

use families::Families;
use live::LiveTable;
use model::ModelTable;

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many models have a label of their own; the rest are `other`.
    pub model_limit: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { model_limit: 16 }
    }
}

/// The families of metrics, and what runs now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    families: Families,
    models: ModelTable,
    live: Arc<LiveTable>,
    cut: std::sync::atomic::AtomicBool,
}

impl Meter {
    /// Registers every family on `registry`. `upstreams` are the names that the label `upstream` starts with.
    ///
    /// # Errors
    /// A name that `registry` has already.
    pub fn register(
        registry: &prometheus::Registry,
        config: &Config,
        upstreams: &[&str],
    ) -> prometheus::Result<Meter> {
        let live = Arc::new(LiveTable::default());
        let families = Families::register(registry, upstreams, &live)?;
        let models = ModelTable::new(config.model_limit);
        Ok(Meter { shared: Arc::new(Shared { families, models, live, cut: false.into() }) })
    }

    /// Starts to measure a request: call it when the head is parsed.
    #[must_use]
    pub fn start(&self, facts: Facts) -> Measurement {
        Measurement::start(self.clone(), facts)
    }

    /// The streams and requests that run now, oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<Snapshot> {
        self.shared.live.snapshots()
    }

    /// The label of a model that an Ollama has in its memory, by canonical name: a place of its own while there is one.
    #[must_use]
    pub fn model_label<'a>(&self, model: &'a str) -> &'a str {
        self.shared.models.label(model, true)
    }

    /// How streams of an upstream ran since the start, by how many decoded.
    #[must_use]
    pub fn bands(&self, upstream: &str) -> Bands {
        self.shared.families.concurrency.upstream(upstream).bands()
    }

    /// From now on what ends unfinished was cut by us, not left by its client: outcome `refused`.
    pub fn cut(&self) {
        self.shared.cut.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
