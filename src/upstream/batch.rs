//! A batch of requests on three simulated Ollamas of different speed: the time that the scheduler takes, against the best
//! schedule that an offline search finds.
//!
//! The scheduler and the upstreams are the real ones. Only the clock and the Ollamas are simulated, so that a run of a
//! minute takes milliseconds and gives the same result each time.

mod best;
mod first;
mod jobs;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{Config, Health, Observed, Placement, StreamLimit, UpstreamConfig, Upstreams};
use crate::{
    protocol::Route,
    scheduler::{self, Scheduler, Terms},
};
use jobs::{Job, LOAD, MACHINES, MODELS, Machine, jobs};

/// A simulated Ollama.
struct Ollama {
    machine: Machine,
    /// The time at which each model is in memory.
    ready: Mutex<HashMap<usize, Instant>>,
}

impl Ollama {
    /// The time at which the model is in memory. It begins to load if it is not there.
    fn ready(&self, model: usize) -> Instant {
        let load = Duration::from_secs_f64(LOAD);
        *self.ready.lock().unwrap().entry(model).or_insert_with(|| Instant::now() + load)
    }

    fn health(&self) -> Health {
        let ready = self.ready.lock().unwrap();
        let loaded = ready.iter().filter(|(_, ready)| **ready <= Instant::now());
        let loaded: Vec<_> = loaded.map(|(model, _)| MODELS[*model]).collect();
        Health { asked: Some(Instant::now()), ..Health::for_test(true, &MODELS, &loaded) }
    }
}

struct Fleet {
    upstreams: Arc<Upstreams>,
    scheduler: Scheduler,
    ollamas: Vec<Ollama>,
}

impl Fleet {
    fn new() -> Fleet {
        let each = MACHINES.iter().enumerate().map(|(number, machine)| UpstreamConfig {
            max_streams: Some(StreamLimit::Fixed(machine.slots)),
            ..UpstreamConfig::new(format!("gpu{number}"), "http://127.0.0.1:1".parse().unwrap())
        });
        let config = Config { upstreams: each.collect(), ..Config::default() };
        let upstreams = Arc::new(Upstreams::new(&config).unwrap());
        let limits = MACHINES.map(|machine| Some(machine.slots));
        let queue = scheduler::Config {
            size: 1_000,
            timeout: Duration::from_secs(1_000),
            ..scheduler::Config::default()
        };
        let scheduler = Scheduler::with_config(queue, &limits, upstreams.clone());
        let ollamas = MACHINES.map(|machine| Ollama { machine, ready: Mutex::default() });
        Fleet { upstreams, scheduler, ollamas: ollamas.into() }
    }

    fn probe(&self) {
        for (upstream, ollama) in self.upstreams.all().iter().zip(&self.ollamas) {
            upstream.report(ollama.health());
        }
        self.scheduler.refresher().refresh();
    }

    async fn probes(&self) {
        loop {
            self.probe();
            sleep(Config::default().health_interval).await;
        }
    }

    async fn serve(&self, number: usize, job: Job) {
        let model = MODELS[job.model];
        let Some(Placement::Any { want, .. }) = self.upstreams.place(Route::Chat, Some(model), &[]) else {
            panic!("a chat takes a slot")
        };
        let slot = self.scheduler.enter(&format!("caller{}", number % 4), Terms::default(), want).await;
        let slot = slot.unwrap();
        let (ollama, upstream) = (&self.ollamas[slot.upstream()], &self.upstreams.all()[slot.upstream()]);
        let mut busy = upstream.enter(Some(slot)).with_model(Some(model));
        let asked = Instant::now();
        sleep_until(ollama.ready(job.model)).await;
        busy.answered(true);
        let load = asked.elapsed();
        let generation = Duration::from_secs_f64(job.tokens / ollama.machine.tokens_per_second);
        sleep(generation).await;
        busy.ended();
        let observed = Observed {
            load: Some(load),
            first_token: Some(load),
            generation: Some(generation),
            output_tokens: Some(job.tokens as u64),
            ..Observed::default()
        };
        self.upstreams.observe(upstream.name(), model, observed);
    }
}

/// The seconds that the scheduler takes for all requests.
async fn scheduled(jobs: &[Job]) -> f64 {
    let fleet = Arc::new(Fleet::new());
    fleet.probe();
    let mut probes = JoinSet::new();
    probes.spawn({
        let fleet = fleet.clone();
        async move { fleet.probes().await }
    });
    let began = Instant::now();
    let mut requests = JoinSet::new();
    for (number, job) in jobs.iter().copied().enumerate() {
        let fleet = fleet.clone();
        requests.spawn(async move {
            sleep(Duration::from_secs_f64(job.arrival)).await;
            fleet.serve(number, job).await;
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended.unwrap();
    }
    began.elapsed().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn batch_ends_within_15_percent_of_the_best_schedule_and_far_before_that_of_the_first_version() {
    // All requests at once, then slower than the Ollamas can serve them, then as fast as they can.
    for seconds in [0, 20, 40] {
        for seed in 0..3 {
            let jobs = jobs(seed, seconds);
            let (ours, best, first) = (scheduled(&jobs).await, best::search(&jobs), first::total(&jobs));
            println!(
                "arrival {seconds} s, seed {seed}: {ours:.1} s; best {best:.1} s, first version {first:.1} s"
            );
            assert!(ours <= 1.15 * best, "{ours} s and not {best} s: seed {seed}, {seconds} s");
            assert!(ours <= 0.75 * first, "{ours} s and {first} s: seed {seed}, {seconds} s");
        }
    }
}
