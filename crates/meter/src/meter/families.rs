//! Every family of the meter, and the children that one stream needs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use prometheus::{Counter, Gauge, IntCounter, Registry};

use super::{
    concurrency::{BANDS, ConcurrencyFamilies},
    live::LiveTable,
    loads::Loads,
    outcomes::Outcomes,
    waiting::Waiting,
};
use crate::{
    metric::{Buckets, Family, Histogram, buckets, counter, gauge, int_counter},
    protocol::{CLOUD, Kind, Route},
};

/// The values of the label `phase`, in the order of [`StreamChildren::phases`].
pub(super) const PHASES: [&str; 6] = ["queue", "load", "prompt_eval", "eval", "decode", "unaccounted"];
/// The values of the label `kind` of `tokens_total`.
pub(super) const TOKENS: [&str; 3] = ["prompt", "prompt_cached", "output"];
/// The values of the label `at` of `chunk_gap_seconds`.
const PLACES: [&str; 3] = ["upstream", "origin", "client"];

/// `records_unscanned_total`, by the label `reason`.
#[derive(Clone, Debug)]
pub(super) struct UnscannedCounters {
    pub(super) too_long: Arc<IntCounter>,
    pub(super) malformed: Arc<IntCounter>,
    /// The meter itself failed.
    pub(super) failed: Arc<IntCounter>,
    pub(super) coding: Arc<IntCounter>,
}

#[derive(Debug)]
pub(super) struct Families {
    requests: Family<IntCounter, 4>,
    pub(super) responses: Family<IntCounter, 2>,
    pub(super) request_duration: Family<Histogram, 2>,
    pub(super) in_flight: Family<Gauge, 2>,
    pub(super) usage_missing: Family<IntCounter, 1>,
    pub(super) usage_understated: Family<IntCounter, 1>,
    pub(super) unscanned: UnscannedCounters,
    pub(super) scan_seconds: Arc<Histogram>,
    pub(super) self_overhead: Arc<Histogram>,
    pub(super) concurrency: ConcurrencyFamilies,
    first_token: Family<Histogram, 2>,
    gap: Family<Histogram, 2>,
    gaps_held: Family<IntCounter, 1>,
    origin_invalid: Family<IntCounter, 1>,
    chunk_bytes: Family<Histogram, 1>,
    records: Family<IntCounter, 2>,
    tokens: Family<IntCounter, 2>,
    prompt_evaluated: Family<IntCounter, 1>,
    prompt_evaluated_seconds: Family<Counter, 1>,
    token_rate: Family<Histogram, 2>,
    phase: Family<Histogram, 2>,
    backpressure: Family<Counter, 1>,
    concurrency_tokens: Family<IntCounter, 3>,
    model_loads: Family<IntCounter, 2>,
    pub(super) labels_dropped: Arc<IntCounter>,
    /// Whether the sidecar merges the lists of models of several upstreams.
    merges_lists: bool,
    outcomes: Mutex<HashMap<Key, Arc<Outcomes>>>,
    /// By [`Route::index`]: the counters of requests without an upstream and without a model that was read.
    unsent: [OnceLock<Arc<Outcomes>>; Route::ALL.len()],
    streams: Mutex<HashMap<Key, Arc<StreamChildren>>>,
    /// By upstream and model.
    loads: Mutex<HashMap<(String, String), Arc<Loads>>>,
}

/// An upstream, a model and a route.
type Key = (String, String, Route);

/// The children of one upstream, model and route. They are looked up once, and all of their streams share them.
#[derive(Debug)]
pub(super) struct StreamChildren {
    pub(super) first_token: Arc<Histogram>,
    pub(super) gap_upstream: Arc<Histogram>,
    pub(super) gap_origin: Arc<Histogram>,
    pub(super) gap_client: Arc<Histogram>,
    pub(super) gaps_held: Arc<IntCounter>,
    pub(super) origin_invalid: Arc<IntCounter>,
    pub(super) chunk_bytes: Arc<Histogram>,
    pub(super) records: [Arc<IntCounter>; 6],
    pub(super) tokens: [Arc<IntCounter>; 3],
    pub(super) prompt_evaluated: Arc<IntCounter>,
    pub(super) prompt_evaluated_seconds: Arc<Counter>,
    pub(super) rate_ollama: Arc<Histogram>,
    pub(super) backpressure: Arc<Counter>,
    /// `None` for requests that Ollama passes on to its cloud.
    pub(super) work: Option<WorkChildren>,
}

/// The children of a stream that describe the work of its upstream.
#[derive(Debug)]
pub(super) struct WorkChildren {
    pub(super) rate_stream: Arc<Histogram>,
    pub(super) phases: [Arc<Histogram>; 6],
    pub(super) concurrency_tokens: [Arc<IntCounter>; 8],
    pub(super) loads: Arc<Loads>,
}

impl Families {
    pub(super) fn register(
        registry: &Registry,
        upstreams: &[&str],
        live: &Arc<LiveTable>,
    ) -> prometheus::Result<Families> {
        let r = registry;
        let phase_help = "How the time of a generation is divided, seconds.";
        let dropped_help = "How often a model lost its label to a more recently used model.";
        let held_help = "Chunks with content whose gap is left out, because the client held the stream.";
        let invalid_help =
            "Records whose created_at is invalid, because Ollama's clock was set while the stream ran.";
        let unscanned = Family::register(
            r,
            "records_unscanned_total",
            "Records that were forwarded without being understood.",
            ["reason"],
            int_counter,
        )?;
        let scan_help = "Time to scan one record, sampled, seconds.";
        let overhead_help = "Time from the arrival of a chunk to the delivery of its frame, without delay by shaping, seconds.";
        let concurrency = ConcurrencyFamilies::new(counter)?;
        registry.register(Box::new(concurrency.clone()))?;
        registry.register(Box::new(Waiting::new(upstreams, live.clone(), concurrency.clone(), gauge)?))?;
        let families = Families {
            requests: Family::register(
                r,
                "requests_total",
                "Requests that have ended, by outcome.",
                ["upstream", "route", "model", "outcome"],
                int_counter,
            )?,
            responses: Family::register(
                r,
                "responses_total",
                "Responses, by the status code that was sent to the client.",
                ["route", "code"],
                int_counter,
            )?,
            request_duration: Family::register(
                r,
                "request_duration_seconds",
                "Duration of requests, from accept to the end, seconds.",
                ["route", "model"],
                || Histogram::new(buckets::REQUEST),
            )?,
            in_flight: Family::register(
                r,
                "requests_in_flight",
                "Requests in progress.",
                ["upstream", "route"],
                gauge,
            )?,
            usage_missing: Family::register(
                r,
                "usage_missing_total",
                "Generations that ended without an output count.",
                ["route"],
                int_counter,
            )?,
            usage_understated: Family::register(
                r,
                "usage_understated_total",
                "Streams whose reported output count is below the number of content records that arrived.",
                ["route"],
                int_counter,
            )?,
            unscanned: UnscannedCounters {
                too_long: unscanned.child(["too_long"]),
                malformed: unscanned.child(["malformed"]),
                failed: unscanned.child(["failed"]),
                coding: unscanned.child(["coding"]),
            },
            scan_seconds: Family::register(r, "record_scan_seconds", scan_help, [], || {
                Histogram::new(buckets::SCAN)
            })?
            .child([]),
            self_overhead: Family::register(r, "self_overhead_seconds", overhead_help, [], || {
                Histogram::new(buckets::OVERHEAD)
            })?
            .child([]),
            concurrency,
            first_token: Family::register(
                r,
                "time_to_first_token_seconds",
                "Time from accept to the first content record of a stream, seconds.",
                ["route", "model"],
                || Histogram::new(buckets::FIRST_TOKEN),
            )?,
            gap: Family::register(
                r,
                "chunk_gap_seconds",
                "Time between two successive chunks with content, at three places, seconds.",
                ["model", "at"],
                || Histogram::finer(buckets::GAP_FINE, buckets::GAP),
            )?,
            gaps_held: Family::register(r, "gaps_held_total", held_help, ["model"], int_counter)?,
            origin_invalid: Family::register(
                r,
                "origin_gaps_invalid_total",
                invalid_help,
                ["upstream"],
                int_counter,
            )?,
            chunk_bytes: Family::register(r, "chunk_bytes", "Size of a chunk, bytes.", ["model"], || {
                Histogram::new(buckets::CHUNK_BYTES)
            })?,
            records: Family::register(
                r,
                "records_total",
                "Records that arrived, by kind.",
                ["model", "kind"],
                int_counter,
            )?,
            tokens: Family::register(
                r,
                "tokens_total",
                "Tokens, as Ollama reports them.",
                ["model", "kind"],
                int_counter,
            )?,
            prompt_evaluated: Family::register(
                r,
                "prompt_evaluated_tokens_total",
                "Prompt tokens that Ollama evaluated, without the cached part. Only requests that report the cached part.",
                ["model"],
                int_counter,
            )?,
            prompt_evaluated_seconds: Family::register(
                r,
                "prompt_evaluated_seconds_total",
                "Time that Ollama needed for prompt_evaluated_tokens_total, seconds.",
                ["model"],
                counter,
            )?,
            token_rate: Family::register(
                r,
                "output_tokens_per_second",
                "Output tokens per second of a request: as Ollama reports them, and by the arrival of the records.",
                ["model", "by"],
                || Histogram::new(buckets::TOKEN_RATE),
            )?,
            phase: Family::register(r, "phase_seconds", phase_help, ["model", "phase"], || {
                Histogram::new(buckets::PHASE)
            })?,
            backpressure: Family::register(
                r,
                "client_backpressure_seconds_total",
                "Time in which clients did not read data that was there, seconds.",
                ["model"],
                counter,
            )?,
            concurrency_tokens: Family::register(
                r,
                "concurrency_tokens_total",
                "Content records that arrived while this number of streams decoded.",
                ["upstream", "model", "streams"],
                int_counter,
            )?,
            model_loads: Family::register(
                r,
                "model_loads_total",
                "Loads of models into memory.",
                ["upstream", "model"],
                int_counter,
            )?,
            labels_dropped: Family::register(r, "model_labels_dropped_total", dropped_help, [], int_counter)?
                .child([]),
            merges_lists: upstreams.len() > 1,
            outcomes: Mutex::default(),
            unsent: [const { OnceLock::new() }; Route::ALL.len()],
            streams: Mutex::default(),
            loads: Mutex::default(),
        };
        families.open(upstreams);
        Ok(families)
    }

    /// Creates the children of closed lists, which start at zero.
    fn open(&self, upstreams: &[&str]) {
        for upstream in upstreams {
            self.concurrency.upstream(upstream);
            let _ = self.origin_invalid.child([upstream]);
            for route in Route::ALL {
                let _ = self.in_flight.child([upstream, route.label()]);
            }
        }
        for route in Route::ALL.into_iter().filter(|route| route.generates()) {
            let _ = self.usage_missing.child([route.label()]);
            let _ = self.usage_understated.child([route.label()]);
        }
    }

    /// Returns the outcome counters of a request that was just accepted.
    pub(super) fn accepted(&self, route: Route) -> Arc<Outcomes> {
        let model = if route.has_model() { "unknown" } else { "none" };
        self.unsent[route.index()].get_or_init(|| self.outcomes(None, model, route)).clone()
    }

    /// Returns the outcome counters. New ones start at zero. `upstream` is `None` before one is chosen.
    pub(super) fn outcomes(&self, upstream: Option<&str>, model: &str, route: Route) -> Arc<Outcomes> {
        let key = (upstream.unwrap_or("none").to_owned(), model.to_owned(), route);
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || Outcomes::open(&self.requests, upstream, model, route, self.merges_lists);
        outcomes.entry(key).or_insert_with(|| Arc::new(open())).clone()
    }

    /// Returns the loads of a model at an upstream.
    pub(super) fn loads(&self, upstream: &str, model: &str) -> Arc<Loads> {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let is_shared = matches!(model, "other" | "unknown" | "none");
        let make = || Loads::new(self.model_loads.child([upstream, model]), is_shared);
        loads.entry((upstream.to_owned(), model.to_owned())).or_insert_with(make).clone()
    }

    /// Counts the loads at an upstream that were seen in memory and that no request reports.
    pub(super) fn settle_loads(&self, upstream: &str, now: Instant) {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let here = loads.iter().filter(|((known, _), _)| known == upstream);
        here.for_each(|(_, loads)| loads.settle(now));
    }

    /// Returns the time at which another model was last loaded at an upstream.
    pub(super) fn pushed(&self, upstream: &str, model: &str) -> Option<Instant> {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let others = loads.iter().filter(|((known, other), _)| known == upstream && other != model);
        others.filter_map(|(_, loads)| loads.last()).max()
    }

    /// Removes the label of a model, because another model takes it. The series of the label end.
    pub(super) fn forget(&self, model: &str) {
        fn retain<V>(kept: &Mutex<HashMap<Key, V>>, model: &str) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, known, _), _| known != model);
        }
        retain(&self.outcomes, model);
        retain(&self.streams, model);
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.retain(|(_, known), _| known != model);
        drop(loads);
        self.requests.retain(|[_, _, known, _]| known != model);
        self.request_duration.retain(|[_, known]| known != model);
        self.first_token.retain(|[_, known]| known != model);
        self.gap.retain(|[known, _]| known != model);
        self.gaps_held.retain(|[known]| known != model);
        self.chunk_bytes.retain(|[known]| known != model);
        self.records.retain(|[known, _]| known != model);
        self.tokens.retain(|[known, _]| known != model);
        self.prompt_evaluated.retain(|[known]| known != model);
        self.prompt_evaluated_seconds.retain(|[known]| known != model);
        self.token_rate.retain(|[known, _]| known != model);
        self.phase.retain(|[known, _]| known != model);
        self.backpressure.retain(|[known]| known != model);
        self.concurrency_tokens.retain(|[_, known, _]| known != model);
        self.model_loads.retain(|[_, known]| known != model);
        self.labels_dropped.inc();
    }

    /// Returns the gaps of all streams at their arrival from the upstream, with finer bounds than those that are
    /// exported.
    pub(super) fn gaps(&self) -> Buckets {
        let upstream = |[_, at]: &[String; 2]| at == PLACES[0];
        self.gap.fold(Buckets::default(), upstream, |sum, child| sum.plus(child.buckets()))
    }

    /// Returns the children of a stream.
    pub(super) fn stream(&self, upstream: &str, model: &str, route: Route) -> Arc<StreamChildren> {
        let key = (upstream.to_owned(), model.to_owned(), route);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(self.make_stream(upstream, model, route));
        streams.entry(key).or_insert_with(make).clone()
    }

    fn make_stream(&self, upstream: &str, model: &str, route: Route) -> StreamChildren {
        let [gap_upstream, gap_origin, gap_client] = PLACES.map(|at| self.gap.child([model, at]));
        StreamChildren {
            first_token: self.first_token.child([route.label(), model]),
            gap_upstream,
            gap_origin,
            gap_client,
            gaps_held: self.gaps_held.child([model]),
            origin_invalid: self.origin_invalid.child([upstream]),
            chunk_bytes: self.chunk_bytes.child([model]),
            records: Kind::ALL.map(|kind| self.records.child([model, kind.label()])),
            tokens: TOKENS.map(|kind| self.tokens.child([model, kind])),
            prompt_evaluated: self.prompt_evaluated.child([model]),
            prompt_evaluated_seconds: self.prompt_evaluated_seconds.child([model]),
            rate_ollama: self.token_rate.child([model, "ollama"]),
            backpressure: self.backpressure.child([model]),
            work: (upstream != CLOUD).then(|| WorkChildren {
                rate_stream: self.token_rate.child([model, "stream"]),
                phases: PHASES.map(|phase| self.phase.child([model, phase])),
                concurrency_tokens: BANDS
                    .map(|streams| self.concurrency_tokens.child([upstream, model, streams])),
                loads: self.loads(upstream, model),
            }),
        }
    }
}
