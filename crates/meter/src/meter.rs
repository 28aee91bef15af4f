//! Measures a stream and records the measurement.
//!
//! Call [`Meter::register`] once, [`Meter::start`] for each request, and [`Measurement::wrap_body`] for the body of
//! the response. The guards travel with the body. However the body ends, one outcome is recorded.
#![expect(clippy::disallowed_types, reason = "it measures in programs without tokio too")]

mod backlog;
mod cause;
mod chunks;
mod concurrency;
mod delivered;
mod families;
mod finishes;
mod held;
mod live;
mod loads;
mod measurement;
mod model;
mod noted;
mod noted_load;
mod outcome;
mod outcomes;
mod phases;
mod prompt;
mod recording;
mod request_id;
mod schedule;
mod shared;
mod silence;
mod slow;
mod snapshot;
mod step;
mod tap;
#[cfg(test)]
mod tests;
mod timeline;
mod trace;
mod truncation;
mod waiting;
mod wrap;
mod wrapping;

pub use cause::{Difference, LoadCause, ModelLoad};
pub use chunks::{ChunkBudget, KeptChunk, KeptChunks};
pub use concurrency::Bands;
pub use delivered::Delivered;
pub use live::Live;
pub use measurement::{Facts, Measurement};
pub use model::InMemory;
pub use noted::NotedRequest;
pub use noted_load::NotedLoad;
pub use outcome::{Ending, Outcome};
pub use request_id::RequestId;
pub use slow::SlowLimits;
pub use snapshot::Snapshot;
pub use step::{Step, TimedStep};
pub use tap::Tap;
pub use timeline::Timeline;
pub use trace::{TraceId, TraceParent};
pub use wrap::BodyStream;
pub use wrapping::DeliveredBy;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;

use crate::metric::{Buckets, Exemplars, NativeHistograms};
use cause::Seen;
use families::Families;
use live::LiveTable;
use loads::Span;
use model::{Claim, Loaded, Memory, ModelTable};
use noted::NotedRequests;
use noted_load::NotedLoads;
use prompt::Density;
use shared::Shared;
use truncation::Truncation;

use crate::protocol::canonical_model;

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The maximum number of models with a label of their own. The others are `other`.
    pub model_limit: usize,
    /// The limits above which a request is slow.
    pub slow: SlowLimits,
    /// Whether the program may call [`Meter::responded_early`]. The counters of [`Outcome::LateError`] then start at 0.
    pub respond_early: bool,
    /// Whether the largest histograms have native buckets too: see [`Meter::native_histograms`].
    pub native_histograms: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            model_limit: 16,
            slow: SlowLimits::default(),
            respond_early: false,
            native_histograms: false,
        }
    }
}

/// The families of metrics, and the running requests. Cheap to clone.
///
/// A meter in ten lines, around a body that your HTTP client returned:
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Full};
/// use prometheus::Registry;
/// use streamgauge_meter::{meter::{Config, Facts, Meter}, metric::Scrape};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let response = http::Response::new(Full::new(Bytes::from("{\"done\":true,\"eval_count\":2}\n")));
/// let registry = Registry::new();
/// let meter = Meter::register(&registry, &Config::default(), &["ollama"])?;
///
/// let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
/// measurement.model_named("gemma3:270m");
/// measurement.upstream_chosen("ollama");
/// // … send the request, and receive `response`
/// measurement.responded(response.status());
/// let body = measurement.wrap_body(Some("application/x-ndjson"), response.into_body());
/// body.collect().await?;
///
/// let scrape = Scrape::take(&registry);
/// assert_eq!(scrape.find("requests_total").sum(|series| series.label("outcome") == "complete"), 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Meter {
    shared: Arc<Shared>,
}

impl Meter {
    /// Registers every family on `registry`. `upstreams` are the first values of the label `upstream`.
    ///
    /// # Errors
    /// `registry` already has one of the names.
    pub fn register(
        registry: &prometheus::Registry,
        config: &Config,
        upstreams: &[&str],
    ) -> prometheus::Result<Meter> {
        let natives = config.native_histograms;
        let live = Arc::new(LiveTable::new(Families::gap_bounds(natives)));
        let families = Families::register(registry, upstreams, natives, &live, config.respond_early)?;
        let models = ModelTable::new(config.model_limit);
        Ok(Meter {
            shared: Arc::new(Shared {
                families,
                models,
                density: Density::default(),
                truncation: Truncation::default(),
                live,
                noted: NotedRequests::default(),
                noted_loads: NotedLoads::default(),
                slow: config.slow,
                cut: false.into(),
                has_natives: natives,
            }),
        })
    }

    /// Starts to measure a request. Call it when the head is parsed.
    #[must_use]
    pub fn start(&self, facts: Facts) -> Measurement {
        Measurement::start(self.shared.clone(), facts)
    }

    /// Notes that the client gets this status before the request has a response. [`Measurement::responded`] then says
    /// what the upstream or the program would have answered, and the client gets a failure as an event.
    pub fn responded_early(&self, live: &Live, status: StatusCode) {
        if live.early.set(status).is_ok() {
            let responses = &self.shared.families.requests.responses;
            responses.child([live.route.label(), status.as_str()]).inc();
        }
    }

    /// Returns the running requests, oldest first.
    #[must_use]
    pub fn live(&self) -> Vec<Snapshot> {
        self.shared.live.snapshots()
    }

    /// Returns the silence of an upstream, divided by the longest silence that is usual for the requests in progress
    /// there. Above 1, the upstream is wedged.
    #[must_use]
    pub fn silence_ratio(&self, upstream: &str) -> f64 {
        let mut running = self.shared.live.running();
        running.retain(|one| one.route.takes_slot());
        waiting::silence_ratio(&running, &self.shared.families.concurrency, upstream)
    }

    /// Returns the last requests that failed or were slow, the newest first, at most `most`. 200 are kept.
    #[must_use]
    pub fn noted(&self, most: usize) -> Vec<NotedRequest> {
        self.shared.noted.newest(most)
    }

    /// Returns the last loads that requests reported, the newest first, at most `most`. 100 are kept.
    #[must_use]
    pub fn noted_loads(&self, most: usize) -> Vec<NotedLoad> {
        self.shared.noted_loads.newest(most)
    }

    /// Returns the time since the newest chunk of any response from an upstream. `None`: there was none.
    #[must_use]
    pub fn since_chunk(&self, upstream: &str) -> Option<Duration> {
        waiting::since_chunk(&self.shared.live.running(), &self.shared.families.concurrency, upstream)
    }

    /// Notes the models that an upstream has in memory. Each model gets a label of its own, unless models in memory or
    /// in use have all labels. A model that was not in memory the last time counts as loaded.
    pub fn loaded<'a>(&self, upstream: &str, asked: Instant, models: impl IntoIterator<Item = InMemory<'a>>) {
        let Shared { families, models: table, .. } = &*self.shared;
        let models = models.into_iter().map(|model| Loaded::new(&model, asked)).collect();
        let memory = Arc::new(Memory { asked, models });
        let (now, before) = (Instant::now(), table.loaded(upstream, memory.clone()));
        for model in &memory.models {
            let place = self.shared.claim(&model.name, &model.label, Claim::Loaded);
            if let (Some(place), Some(context)) = (&place, model.context) {
                place.loaded_with(context);
            }
            let Some(place) = place else { continue };
            let loads = families.loads(upstream, place.label());
            if let Some(before) = before.as_ref().filter(|before| before.lacks(model)) {
                let span = Span { from: before.asked, to: now };
                let pushed = families.pushed(upstream, place.label());
                loads.appeared(span, before.find(&model.name).is_some(), pushed.as_ref());
            }
            loads.listed(Seen { at: asked, expires: model.expires });
        }
        families.settle_loads(upstream, now);
    }

    /// Notes that an upstream does not answer. It may have ended, with the models in its memory.
    pub fn upstream_lost(&self, upstream: &str) {
        self.shared.families.lost(upstream, Instant::now());
    }

    /// Returns the value of the label `model` for a model.
    #[must_use]
    pub fn model_label(&self, name: &str) -> String {
        let place = self.shared.models.find(&canonical_model(name), false);
        place.map_or_else(|| "other".to_owned(), |place| place.label().to_owned())
    }

    /// Whether a value of the label `model` stands for a model, or for all models without a label of their own.
    #[must_use]
    pub fn is_model_label(&self, label: &str) -> bool {
        label == "other" || self.model_label(label) == label
    }

    /// Returns how often a model lost its label to another one.
    #[must_use]
    pub fn labels_dropped(&self) -> u64 {
        self.shared.families.models.labels_dropped.get()
    }

    /// Returns how the streams of an upstream ran since the start, by the number that decoded.
    #[must_use]
    pub fn bands(&self, upstream: &str) -> Bands {
        self.shared.families.concurrency.upstream(upstream).bands()
    }

    /// Returns the gaps between chunks of all streams since the start, at their arrival from the upstream. The bounds
    /// grow by at most a tenth from 1 ms to 1 s, which is finer than in `chunk_gap_seconds`.
    #[must_use]
    pub fn gaps(&self) -> Buckets {
        self.shared.families.chunks.gaps()
    }

    /// Returns the newest request of each bucket of `request_duration_seconds`, `time_to_first_token_seconds` and
    /// `chunk_gap_seconds` that belongs to a sampled trace, for
    /// [`openmetrics`](crate::metric::openmetrics).
    #[must_use]
    pub fn exemplars(&self) -> Exemplars {
        let (families, mut exemplars) = (&self.shared.families, Exemplars::default());
        exemplars.add(&families.requests.duration);
        exemplars.add(&families.chunks.first_token);
        exemplars.add(&families.chunks.gap);
        exemplars
    }

    /// Whether there are [`native_histograms`](Meter::native_histograms).
    #[must_use]
    pub fn has_native_histograms(&self) -> bool {
        self.shared.has_natives
    }

    /// Returns `phase_seconds`, `chunk_gap_seconds` and `time_to_first_token_seconds` with native buckets, which they have if
    /// [`Config::native_histograms`] is set.
    #[must_use]
    pub fn native_histograms(&self) -> NativeHistograms {
        let (families, mut natives) = (&self.shared.families, NativeHistograms::default());
        natives.add(&families.models.phase);
        natives.add(&families.chunks.gap);
        natives.add(&families.chunks.first_token);
        natives
    }

    /// From now on, a request that ends unfinished counts as cut by the sidecar, with the outcome `refused`.
    pub fn cut(&self) {
        self.shared.cut.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
