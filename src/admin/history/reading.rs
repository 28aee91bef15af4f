//! The values of the registry that the page needs, at one moment.

use tokio::time::Instant;

use crate::{
    meter::Outcome,
    metric::{BANDS, Buckets, Scrape, Series},
    protocol::is_cloud_model,
};

/// GPUs that are shown individually. The others are part of the sums only.
const MOST_CARDS: usize = 16;

/// Counters since the start, and the present value of gauges. About 1.8 KiB.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// Generations that have not ended.
    pub(super) streams: f64,
    /// Those of `streams` that wait in the sidecar's own queue.
    pub(super) queued: f64,
    /// Records with content, thinking or a tool call.
    pub(super) content: f64,
    /// In the order of [`Outcome::ALL`].
    pub(super) outcomes: [f64; 8],
    pub(super) first_token: Buckets,
    pub(super) gap: Buckets,
    /// Waiting inside Ollama.
    pub(super) hidden: Buckets,
    /// Waiting in the sidecar's own queue.
    pub(super) queue_wait: Buckets,
    pub(super) lag: Buckets,
    pub(super) bands: [Band; 8],
    /// The mean utilization of all GPUs.
    pub(super) busy: Option<f64>,
    /// The power of all GPUs together.
    pub(super) watts: Option<f64>,
    /// The energy that all GPUs have used.
    pub(super) joules: Option<f64>,
    /// Output tokens of models that run on this machine.
    pub(super) output_tokens: f64,
    /// Loads of models.
    pub(super) loads: f64,
}

/// Sums over all upstreams of the time while a certain number of streams decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Band {
    pub(super) seconds: f64,
    pub(super) stream_seconds: f64,
    pub(super) tokens: f64,
}

/// Values that are kept of the newest reading only.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SurroundingsReading {
    pub(super) cards: Vec<Card>,
    /// The collectors by their label, and whether each can read.
    pub(super) collectors: Vec<(String, bool)>,
}

/// A GPU. A value that it does not report is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Card {
    pub(super) gpu: String,
    pub(super) name: String,
    pub(super) utilization: Option<f64>,
    pub(super) watts: Option<f64>,
    pub(super) memory_used: Option<f64>,
    pub(super) memory_total: Option<f64>,
    pub(super) celsius: Option<f64>,
    /// The active reasons that limit its clocks. That it has nothing to do is none.
    pub(super) clock_limits: Vec<String>,
}

impl Reading {
    /// Reads a scrape. `gap` has finer buckets than the scrape.
    pub(super) fn of(scrape: &Scrape, streams: usize, gap: Buckets) -> Reading {
        let mut outcomes = [0.0; 8];
        for series in scrape.find("requests_total").series() {
            let outcome = series.label("outcome");
            if let Some(at) = Outcome::ALL.iter().position(|one| one.label() == outcome) {
                outcomes[at] += series.value();
            }
        }
        let busy: Vec<_> = scrape.find("gpu_utilization_ratio").series().map(Series::value).collect();
        let watts: Vec<_> = scrape.find("gpu_power_watts").series().map(Series::value).collect();
        let joules: Vec<_> = scrape.find("gpu_energy_joules_total").series().map(Series::value).collect();
        Reading {
            at: Instant::now(),
            streams: streams as f64,
            queued: scrape.find("queue_depth").sum(|_| true),
            content: scrape
                .find("records_total")
                .sum(|one| matches!(one.label("kind"), "content" | "thinking" | "tool_call")),
            outcomes,
            first_token: scrape.find("time_to_first_token_seconds").buckets(|_| true),
            gap,
            hidden: scrape.find("phase_seconds").buckets(|one| one.label("phase") == "queue"),
            queue_wait: scrape.find("queue_wait_seconds").buckets(|_| true),
            lag: scrape.find("runtime_lag_seconds").buckets(|one| one.label("runtime") == "main"),
            bands: bands(scrape),
            busy: (!busy.is_empty()).then(|| busy.iter().sum::<f64>() / busy.len() as f64),
            watts: (!watts.is_empty()).then(|| watts.iter().sum()),
            joules: (!joules.is_empty()).then(|| joules.iter().sum()),
            output_tokens: scrape
                .find("tokens_total")
                .sum(|one| one.label("kind") == "output" && !is_cloud_model(one.label("model"))),
            loads: scrape.find("model_loads_total").sum(|_| true),
        }
    }
}

fn bands(scrape: &Scrape) -> [Band; 8] {
    let mut bands = [Band::default(); 8];
    let mut add = |name: &str, into: fn(&mut Band) -> &mut f64| {
        for series in scrape.find(name).series() {
            if let Some(at) = BANDS.iter().position(|band| *band == series.label("streams")) {
                *into(&mut bands[at]) += series.value();
            }
        }
    };
    add("concurrency_seconds_total", |band| &mut band.seconds);
    add("concurrency_stream_seconds_total", |band| &mut band.stream_seconds);
    add("concurrency_tokens_total", |band| &mut band.tokens);
    bands
}

impl SurroundingsReading {
    pub(super) fn of(scrape: &Scrape) -> SurroundingsReading {
        let info = scrape.find("gpu_info").series().take(MOST_CARDS);
        let cards = info.map(|one| Card::of(scrape, one.label("gpu"), one.label("name"))).collect();
        let up = scrape.find("collector_up").series();
        let collectors = up.map(|one| (one.label("collector").to_owned(), one.value() > 0.0)).collect();
        SurroundingsReading { cards, collectors }
    }

    /// Whether a collector can read; `None` if it is off.
    pub(super) fn collector(&self, name: &str) -> Option<bool> {
        self.collectors.iter().find(|(known, _)| known == name).map(|(_, up)| *up)
    }
}

impl Card {
    fn of(scrape: &Scrape, gpu: &str, name: &str) -> Card {
        let value = |metric: &str| {
            scrape.find(metric).series().find(|one| one.label("gpu") == gpu).map(Series::value)
        };
        Card {
            gpu: gpu.to_owned(),
            name: name.to_owned(),
            utilization: value("gpu_utilization_ratio"),
            watts: value("gpu_power_watts"),
            memory_used: value("gpu_memory_used_bytes"),
            memory_total: value("gpu_memory_total_bytes"),
            celsius: value("gpu_temperature_celsius"),
            clock_limits: scrape
                .find("gpu_clock_limit")
                .series()
                .filter(|one| {
                    one.label("gpu") == gpu && one.label("reason") != "gpu_idle" && one.value() > 0.0
                })
                .map(|one| one.label("reason").to_owned())
                .collect(),
        }
    }
}
