//! Every family of the meter, and the children that one stream needs.

mod chunk;
mod model;
mod record;
mod request;
mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use prometheus::{Counter, IntCounter, Registry};

use super::{
    cause::{LoadCause, Pushed},
    concurrency::ConcurrencyFamilies,
    finishes::Finishes,
    live::LiveTable,
    loads::Loads,
    outcomes::{Outcomes, Possible},
    waiting::Waiting,
};
use crate::{
    metric::{BANDS, ByBand, Histogram, buckets, counter, gauge},
    protocol::{CLOUD, Kind, Route},
};
use chunk::{AT_UPSTREAM, ChunkFamilies};
use model::ModelFamilies;
use record::RecordFamilies;
use request::RequestFamilies;
use token::TokenFamilies;

pub(super) use record::UnscannedCounters;

/// `phase_seconds` of a model, by the label `phase`.
#[derive(Debug)]
pub(super) struct PhaseHistograms {
    pub(super) queue: Arc<Histogram>,
    pub(super) load: Arc<Histogram>,
    pub(super) prompt_eval: Arc<Histogram>,
    pub(super) eval: Arc<Histogram>,
    pub(super) decode: Arc<Histogram>,
    pub(super) unaccounted: Arc<Histogram>,
}

/// `tokens_total` of a model, by the label `kind`.
#[derive(Debug)]
pub(super) struct TokenCounters {
    pub(super) prompt: Arc<IntCounter>,
    pub(super) prompt_cached: Arc<IntCounter>,
    pub(super) output: Arc<IntCounter>,
}

#[derive(Debug)]
pub(super) struct Families {
    pub(super) requests: RequestFamilies,
    pub(super) chunks: ChunkFamilies,
    pub(super) records: RecordFamilies,
    tokens: TokenFamilies,
    pub(super) models: ModelFamilies,
    pub(super) concurrency: ConcurrencyFamilies,
    possible: Possible,
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
    /// By [`Kind::index`].
    pub(super) records: [Arc<IntCounter>; Kind::ALL.len()],
    pub(super) tokens: TokenCounters,
    pub(super) prompt_evaluated: Arc<IntCounter>,
    pub(super) prompt_evaluated_seconds: Arc<Counter>,
    pub(super) prompt_cut: Arc<IntCounter>,
    pub(super) context_fill: Arc<Histogram>,
    pub(super) rate_ollama: Arc<Histogram>,
    pub(super) backpressure: Arc<Counter>,
    /// `None` if responses on the route state no finish reason.
    pub(super) finishes: Option<Finishes>,
    /// `None` for requests that Ollama passes on to its cloud.
    pub(super) work: Option<WorkChildren>,
}

/// The children of a stream that describe the work of its upstream.
#[derive(Debug)]
pub(super) struct WorkChildren {
    pub(super) rate_stream: Arc<Histogram>,
    pub(super) phases: PhaseHistograms,
    pub(super) concurrency_tokens: ByBand<Arc<IntCounter>>,
    pub(super) loads: Arc<Loads>,
}

impl Families {
    pub(super) fn register(
        registry: &Registry,
        upstreams: &[&str],
        natives: bool,
        live: &Arc<LiveTable>,
        respond_early: bool,
    ) -> prometheus::Result<Families> {
        let concurrency = ConcurrencyFamilies::new(counter)?;
        registry.register(Box::new(concurrency.clone()))?;
        registry.register(Box::new(Waiting::new(upstreams, live.clone(), concurrency.clone(), gauge)?))?;
        let families = Families {
            requests: RequestFamilies::register(registry)?,
            chunks: ChunkFamilies::register(registry, natives)?,
            records: RecordFamilies::register(registry)?,
            tokens: TokenFamilies::register(registry)?,
            models: ModelFamilies::register(registry, natives)?,
            concurrency,
            possible: Possible { merge_lists: upstreams.len() > 1, respond_early },
            outcomes: Mutex::default(),
            unsent: [const { OnceLock::new() }; Route::ALL.len()],
            streams: Mutex::default(),
            loads: Mutex::default(),
        };
        families.open(upstreams);
        Ok(families)
    }

    /// The bounds by which gaps are counted.
    pub(super) const fn gap_bounds(natives: bool) -> &'static [f64] {
        if natives { buckets::GAP_NATIVE.bounds() } else { buckets::GAP_FINE }
    }

    /// Creates the children of closed lists, which start at zero.
    fn open(&self, upstreams: &[&str]) {
        for upstream in upstreams {
            self.concurrency.upstream(upstream);
        }
        self.requests.open(upstreams);
        self.chunks.open(upstreams);
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
        let open = || {
            if route.generates() {
                let _ = self.requests.left_early.child([upstream.unwrap_or("none"), model]);
            }
            Outcomes::open(&self.requests.total, upstream, model, route, self.possible)
        };
        outcomes.entry(key).or_insert_with(|| Arc::new(open())).clone()
    }

    /// Returns the loads of a model at an upstream.
    pub(super) fn loads(&self, upstream: &str, model: &str) -> Arc<Loads> {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let is_shared = matches!(model, "other" | "unknown" | "none");
        let count = |cause: LoadCause| self.models.loads.child([upstream, model, cause.label()]);
        let make = || Loads::new(LoadCause::ALL.map(count), is_shared);
        loads.entry((upstream.to_owned(), model.to_owned())).or_insert_with(make).clone()
    }

    /// Counts the loads at an upstream that were seen in memory and that no request reports.
    pub(super) fn settle_loads(&self, upstream: &str, now: Instant) {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let here = loads.iter().filter(|((known, _), _)| known == upstream);
        here.for_each(|(_, loads)| loads.settle(now));
    }

    /// Notes that an upstream does not answer.
    pub(super) fn lost(&self, upstream: &str, now: Instant) {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let here = loads.iter().filter(|((known, _), _)| known == upstream);
        here.for_each(|(_, loads)| loads.lost(now));
    }

    /// Returns the other model that was last loaded at an upstream.
    pub(super) fn pushed(&self, upstream: &str, model: &str) -> Option<Pushed> {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let others = loads.iter().filter(|((known, other), _)| known == upstream && other != model);
        let (at, label, loads) = others
            .filter_map(|((_, label), loads)| Some((loads.last()?, label, loads)))
            .max_by_key(|(at, ..)| *at)?;
        Some(Pushed { at, label: label.clone(), caller: loads.newest_caller() })
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
        self.requests.forget(model);
        self.chunks.forget(model);
        self.records.forget(model);
        self.tokens.forget(model);
        self.models.forget(model);
    }

    /// Returns the children of a stream.
    pub(super) fn stream(&self, upstream: &str, model: &str, route: Route) -> Arc<StreamChildren> {
        let key = (upstream.to_owned(), model.to_owned(), route);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(self.make_stream(upstream, model, route));
        streams.entry(key).or_insert_with(make).clone()
    }

    fn make_stream(&self, upstream: &str, model: &str, route: Route) -> StreamChildren {
        let gap = |at: &str| self.chunks.gap.child([model, at]);
        let tokens = |kind: &str| self.tokens.total.child([model, kind]);
        let phase = |phase: &str| self.models.phase.child([model, phase]);
        StreamChildren {
            first_token: self.chunks.first_token.child([route.label(), model]),
            gap_upstream: gap(AT_UPSTREAM),
            gap_origin: gap("origin"),
            gap_client: gap("client"),
            gaps_held: self.chunks.gaps_held.child([model]),
            origin_invalid: self.chunks.origin_invalid.child([upstream]),
            chunk_bytes: self.chunks.bytes.child([model]),
            records: Kind::ALL.map(|kind| self.records.total.child([model, kind.label()])),
            tokens: TokenCounters {
                prompt: tokens("prompt"),
                prompt_cached: tokens("prompt_cached"),
                output: tokens("output"),
            },
            prompt_evaluated: self.tokens.prompt_evaluated.child([model]),
            prompt_evaluated_seconds: self.tokens.prompt_evaluated_seconds.child([model]),
            prompt_cut: self.tokens.prompt_cut.child([model]),
            context_fill: self.tokens.context_fill.child([model]),
            rate_ollama: self.tokens.rate.child([model, "ollama"]),
            backpressure: self.chunks.backpressure.child([model]),
            finishes: Finishes::open(&self.requests.finishes, model, route),
            work: (upstream != CLOUD).then(|| WorkChildren {
                rate_stream: self.tokens.rate.child([model, "stream"]),
                phases: PhaseHistograms {
                    queue: phase("queue"),
                    load: phase("load"),
                    prompt_eval: phase("prompt_eval"),
                    eval: phase("eval"),
                    decode: phase("decode"),
                    unaccounted: phase("unaccounted"),
                },
                concurrency_tokens: BANDS
                    .map(|streams| self.tokens.by_concurrency.child([upstream, model, streams])),
                loads: self.loads(upstream, model),
            }),
        }
    }
}
