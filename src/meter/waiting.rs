//! How long the oldest waits, and for how long a running stream has been silent: read off what runs, at a scrape.

use std::sync::Arc;

use prometheus::{
    Gauge,
    core::{Collector, Desc},
    proto,
};

use super::live::LiveTable;
use crate::metric::Family;

#[derive(Debug)]
pub(super) struct Waiting {
    silent: Family<Gauge, 1>,
    waiting: Family<Gauge, 1>,
    upstreams: Vec<String>,
    live: Arc<LiveTable>,
}

impl Waiting {
    pub(super) fn new(
        upstreams: &[&str],
        live: Arc<LiveTable>,
        make: fn() -> Gauge,
    ) -> prometheus::Result<Waiting> {
        Ok(Waiting {
            silent: Family::new(
                "silent_seconds",
                "Age of the newest chunk while a stream past its first record runs: a wedged Ollama.",
                ["upstream"],
                make,
            )?,
            waiting: Family::new(
                "waiting_seconds",
                "Age of the oldest request that has no first record yet.",
                ["upstream"],
                make,
            )?,
            upstreams: upstreams.iter().map(|name| (*name).to_owned()).collect(),
            live,
        })
    }
}

impl Collector for Waiting {
    fn desc(&self) -> Vec<&Desc> {
        [self.silent.desc(), self.waiting.desc()].concat()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let running = self.live.snapshots();
        for name in &self.upstreams {
            let here = running
                .iter()
                .filter(|one| one.route.takes_slot() && one.upstream.as_deref() == Some(name.as_str()));
            let (decoding, rest): (Vec<_>, Vec<_>) = here.partition(|one| one.decoding);
            let awaited = decoding.iter().filter(|one| one.awaited);
            let silent = awaited.filter_map(|one| one.silent).min().unwrap_or_default();
            let waits = rest.iter().filter(|one| one.records == 0).map(|one| one.age);
            self.silent.child([name]).set(silent.as_secs_f64());
            self.waiting.child([name]).set(waits.max().unwrap_or_default().as_secs_f64());
        }
        [self.silent.collect(), self.waiting.collect()].concat()
    }
}
