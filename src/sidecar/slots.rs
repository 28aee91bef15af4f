//! The metrics of slots, and of running and waiting requests, read from the scheduler at a scrape.

use std::sync::Arc;

use prometheus::{
    Gauge,
    core::{Collector, Desc},
    proto,
};

use crate::{
    metric::{Family, gauge},
    scheduler::{Scheduler, SlotCounts},
    upstream::Upstreams,
};

pub(super) struct SlotStates {
    slots: Family<Gauge, 2>,
    running: Family<Gauge, 0>,
    waiting: Family<Gauge, 0>,
    upstreams: Arc<Upstreams>,
    scheduler: Scheduler,
}

impl SlotStates {
    pub(super) fn new(upstreams: Arc<Upstreams>, scheduler: Scheduler) -> prometheus::Result<SlotStates> {
        let slots = "Slots of an upstream by state; `free` is missing without `max_streams`.";
        let running = "Requests that need a slot and run at an upstream.";
        let waiting = "Requests that wait in the sidecar for a slot, of all priorities.";
        Ok(SlotStates {
            slots: Family::new("slots", slots, ["upstream", "state"], gauge)?,
            running: Family::new("requests_running", running, [], gauge)?,
            waiting: Family::new("requests_waiting", waiting, [], gauge)?,
            upstreams,
            scheduler,
        })
    }
}

impl Collector for SlotStates {
    fn desc(&self) -> Vec<&Desc> {
        [self.slots.desc(), self.running.desc(), self.waiting.desc()].concat()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let (counts, waiting) = self.scheduler.counts();
        for (upstream, SlotCounts { free, busy, releasing }) in self.upstreams.all().iter().zip(&counts) {
            let states = [("free", *free), ("busy", Some(*busy)), ("releasing", Some(*releasing))];
            for (state, count) in states {
                if let Some(count) = count {
                    self.slots.child([upstream.name(), state]).set(count as f64);
                }
            }
        }
        self.running.child([]).set(counts.iter().map(|one| one.busy).sum::<usize>() as f64);
        self.waiting.child([]).set(waiting as f64);
        [self.slots.collect(), self.running.collect(), self.waiting.collect()].concat()
    }
}
