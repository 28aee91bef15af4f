//! The longest wait for a first record, the silence of upstreams, and the silence relative to the usual one. They are
//! read from the running requests at a scrape, as are the present stretches in which clients do not read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::{
    Gauge,
    core::{Collector, Desc},
    proto,
};

use super::{
    concurrency::ConcurrencyFamilies,
    live::{Live, LiveTable},
};
use crate::metric::Family;

#[derive(Debug)]
pub(super) struct Waiting {
    silent: Family<Gauge, 1>,
    silence_ratio: Family<Gauge, 1>,
    waiting: Family<Gauge, 1>,
    upstreams: Vec<String>,
    live: Arc<LiveTable>,
    concurrency: ConcurrencyFamilies,
}

impl Waiting {
    pub(super) fn new(
        upstreams: &[&str],
        live: Arc<LiveTable>,
        concurrency: ConcurrencyFamilies,
        make: fn() -> Gauge,
    ) -> prometheus::Result<Waiting> {
        Ok(Waiting {
            silent: Family::new(
                "silent_seconds",
                "Time since the last chunk from the upstream while a stream decodes there, seconds.",
                ["upstream"],
                make,
            )?,
            silence_ratio: Family::new(
                "silence_ratio",
                "Silence of the upstream divided by the longest silence that is usual for its requests. Above 1: the upstream is wedged.",
                ["upstream"],
                make,
            )?,
            waiting: Family::new(
                "waiting_seconds",
                "Longest wait for a first record, seconds.",
                ["upstream"],
                make,
            )?,
            upstreams: upstreams.iter().map(|name| (*name).to_owned()).collect(),
            live,
            concurrency,
        })
    }
}

/// Returns the silence of an upstream, divided by the longest silence that is usual for its requests among `live`.
pub(super) fn silence_ratio(live: &[Arc<Live>], concurrency: &ConcurrencyFamilies, upstream: &str) -> f64 {
    let at = live.iter().filter(|one| one.upstream().as_deref() == Some(upstream));
    let silences: Vec<_> = at.filter_map(|one| one.silence()).collect();
    concurrency.upstream(upstream).history.ratio(&silences, Instant::now())
}

/// Returns the time since the newest chunk from an upstream, of ended streams and of those among `live`.
pub(super) fn since_chunk(
    live: &[Arc<Live>],
    concurrency: &ConcurrencyFamilies,
    upstream: &str,
) -> Option<Duration> {
    let at = live.iter().filter(|one| one.upstream().as_deref() == Some(upstream));
    let running = at.filter_map(|one| Some(one.accepted.elapsed().saturating_sub(one.last_arrival.get()?)));
    let ended = concurrency.upstream(upstream).history.since_heard(Instant::now());
    running.chain(ended).min()
}

impl Collector for Waiting {
    fn desc(&self) -> Vec<&Desc> {
        [self.silent.desc(), self.silence_ratio.desc(), self.waiting.desc()].concat()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut live = self.live.running();
        live.iter().for_each(|one| one.count_held());
        live.retain(|one| one.route.takes_slot());
        let running: Vec<_> = live.iter().map(|one| one.snapshot()).collect();
        for name in &self.upstreams {
            let is_here = |upstream: Option<&str>| upstream == Some(name.as_str());
            let ratio = silence_ratio(&live, &self.concurrency, name);
            self.silence_ratio.child([name]).set(ratio);
            let here = running.iter().filter(|one| is_here(one.upstream.as_deref()));
            let (decoding, rest): (Vec<_>, Vec<_>) = here.partition(|one| one.decoding);
            let awaited = decoding.iter().filter(|one| one.awaited);
            let silent = awaited.filter_map(|one| one.silent).min().unwrap_or_default();
            let waits = rest.iter().filter(|one| one.records == 0).map(|one| one.age);
            self.silent.child([name]).set(silent.as_secs_f64());
            self.waiting.child([name]).set(waits.max().unwrap_or_default().as_secs_f64());
        }
        [self.silent.collect(), self.silence_ratio.collect(), self.waiting.collect()].concat()
    }
}
