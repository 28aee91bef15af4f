//! Registers the stages that a request passes, and connects them.

use std::sync::Arc;

use prometheus::Registry;

use super::{config::Config, reports::Sinks, slots::SlotStates, surroundings, wedge::Wedges};
use crate::{
    admin::Queue,
    admission::Admission,
    meter::{self, Bands, Meter, Outcome},
    proxy::Stages,
    recording::Recorder,
    request_log::RequestLog,
    scheduler::Scheduler,
    shaping::{self, Shaping, adaptive::Reading},
    store::Store,
    traces::Traces,
    upstream::{StreamLimit, Upstreams},
};

/// The values of the label `outcome`.
static OUTCOMES: [&str; 8] = {
    let mut labels = [""; 8];
    let mut at = 0;
    while at < labels.len() {
        labels[at] = Outcome::ALL[at].label();
        at += 1;
    }
    labels
};

/// Registers the stages, the watch for wedged upstreams, and the store of shared limits if there is one. From now on,
/// the meter and the scheduler learn the result of each probe, and the adaptive
/// shaping reads the meter.
pub(super) fn register(
    config: &Config,
    registry: &Registry,
    upstreams: Arc<Upstreams>,
    sinks: Sinks,
    traces: Option<Arc<Traces>>,
) -> prometheus::Result<(Stages, Wedges, Option<Arc<Store>>)> {
    let names: Vec<_> = upstreams.all().iter().map(|upstream| upstream.name()).collect();
    let respond_early = !config.proxy.sse_keep_alive.is_zero();
    let meter = meter::Config { respond_early, ..config.meter.clone() };
    let meter = Meter::register(registry, &meter, &names)?;
    let limits: Vec<_> =
        config.upstream.upstreams.iter().map(|one| one.max_streams.map(StreamLimit::first)).collect();
    let scheduler = Scheduler::register(registry, config.queue.clone(), &limits, upstreams.clone())?;
    for (position, one) in config.upstream.upstreams.iter().enumerate() {
        if let Some(StreamLimit::Auto { min_tokens_per_second }) = one.max_streams {
            scheduler.find_limit(position, &one.name, min_tokens_per_second);
        }
    }
    registry.register(Box::new(SlotStates::new(upstreams.clone(), scheduler.clone())?))?;
    let probed = surroundings::probed(meter.clone(), config.meter.model_limit);
    let refresher = scheduler.refresher();
    upstreams.on_probe(move |upstream| {
        probed(upstream);
        refresher.refresh();
    });
    let (silences, refresher) = (meter.clone(), scheduler.refresher());
    let wedges = Wedges::register(
        registry,
        upstreams.clone(),
        move |upstream| silences.silence_ratio(upstream.name()),
        move || refresher.refresh(),
    )?;
    let store = match &config.shared {
        Some(shared) => {
            let scheduler = scheduler.clone();
            Some(Store::register(registry, shared, move |caller, most| scheduler.cap(caller, most))?)
        }
        None => None,
    };
    let admission = Arc::new(Admission::sharing(registry, &config.admission, &OUTCOMES, store.clone())?);
    let shaping = Arc::new(Shaping::new(shaping::Families::register(registry)?, config.shaping.clone()));
    for name in names {
        let (meter, upstream) = (meter.clone(), name.to_owned());
        shaping.adapt(name, move || reading(&meter.bands(&upstream)));
    }
    let request_log = RequestLog::start(registry, config.request_log, sinks.requests)?;
    let recorder = Recorder::start(registry, config.recording, sinks.recording)?;
    let stages = Stages { admission, upstreams, scheduler, meter, shaping, request_log, traces, recorder };
    Ok((stages, wedges, store))
}

/// Returns the places of the requests that wait in the scheduler's queue, for the admin address.
pub(super) fn queue(scheduler: Scheduler) -> Queue {
    Queue::new(move || {
        scheduler.line().into_iter().map(|(id, position, wait)| (id, (position, wait))).collect()
    })
}

/// Converts the meter's concurrency figures for shaping.
fn reading(bands: &Bands) -> Reading {
    let Bands { seconds, stream_seconds, free_seconds, free_tokens, .. } = *bands;
    Reading { seconds, stream_seconds, free_seconds, tokens: free_tokens }
}
