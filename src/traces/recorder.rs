//! The traces of a sidecar: the decision at the beginning of a request, and the queue at its end.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method};
use prometheus::Registry;
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    config::Config,
    delivery::{Endpoint, NoExporter},
    exporter::Exporter,
    families::{DropReason, Families},
    finished::Finished,
    sampler::{RootSampler, Sampled},
};
use crate::meter::{Ending, Live, TraceParent};

/// The longest time for the spans that wait when the sidecar ends.
const FLUSH: Duration = Duration::from_secs(2);

/// The traces of a sidecar. [`Traces::run`] exports them.
#[derive(Debug)]
pub struct Traces {
    sampler: RootSampler,
    queue: mpsc::Sender<Box<Finished>>,
    families: Arc<Families>,
    /// Taken by the task that exports.
    exporter: Mutex<Option<Exporter>>,
    closing: CancellationToken,
    closed: CancellationToken,
}

impl Traces {
    /// Registers the metrics.
    ///
    /// # Errors
    /// The HTTP client cannot be created, or `registry` already has the name of a metric.
    pub fn register(registry: &Registry, config: &Config) -> Result<Arc<Traces>, NoExporter> {
        let (endpoint, families) = (Endpoint::new(config)?, Arc::new(Families::register(registry)?));
        let (queue, spans) = mpsc::channel(config.queue.max(1));
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let exporter = Exporter::new(endpoint, spans, config.interval, families.clone(), closing.clone());
        Ok(Arc::new(Traces {
            sampler: RootSampler::new(config.sample_ratio),
            queue,
            families,
            exporter: Mutex::new(Some(exporter)),
            closing,
            closed,
        }))
    }

    /// Returns the ids of a request's span, if the request is sampled. `parent` is what its `traceparent` states.
    #[must_use]
    pub fn sample(
        &self,
        parent: Option<TraceParent>,
        headers: &HeaderMap,
        method: &Method,
    ) -> Option<Sampled> {
        self.sampler.sample(parent, headers, method)
    }

    /// Hands a sampled request that has ended to the exporter. It never waits: if the queue is full, the span is
    /// dropped and counted.
    pub fn finish(&self, sampled: Sampled, live: &Live, ending: &Ending) {
        match self.queue.try_reserve() {
            Ok(place) => {
                self.families.took();
                place.send(Box::new(Finished::new(sampled, live, ending)));
            }
            Err(_) => self.families.dropped(DropReason::Queue, 1),
        }
    }

    /// Exports until [`Traces::flush`] is called.
    pub async fn run(self: Arc<Traces>) {
        let exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(exporter) = exporter {
            exporter.run().await;
        }
        self.closed.cancel();
    }

    /// Ends [`Traces::run`], after the spans that wait were exported, or after two seconds.
    pub async fn flush(&self) {
        self.closing.cancel();
        if timeout(FLUSH, self.closed.cancelled()).await.is_ok() {
            return;
        }
        let lost = self.families.held();
        self.families.dropped(DropReason::Shutdown, lost);
        if lost > 0 {
            tracing::warn!(spans = lost, "the sidecar ended before its last spans were exported");
        }
    }
}
