//! The cost of giving a slot to one of 1,000 waiting requests of 64 callers over 8 upstreams. The goal is at most 3 µs.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::{collections::VecDeque, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use streamgauge::scheduler::{Candidate, Config, Fleet, Free, Outlook, Scheduler, Slot, Terms, Want};
use tokio::runtime::Runtime;

const UPSTREAMS: usize = 8;
const SLOTS: usize = 4;
const CALLERS: usize = 64;
const WAITING: usize = 1_000;

/// Upstreams that may all have each request.
struct Alike;

impl Fleet<Want> for Alike {
    fn candidates(&self, _: &Want, _: Outlook<'_>) -> Box<[Candidate]> {
        (0..UPSTREAMS).map(|upstream| Candidate { upstream, patience: Duration::ZERO }).collect()
    }

    fn choose(&self, _: &Want, free: &[Free]) -> usize {
        let least = free.iter().enumerate().min_by_key(|(_, one)| one.taken);
        least.map_or(0, |(at, _)| at)
    }

    fn granted(&self, _: usize, _: &Want) -> bool {
        false
    }

    fn abandoned(&self, _: usize) {}
}

async fn enter(scheduler: Scheduler, caller: usize) -> Slot {
    let want = Want { model: Some("m:latest".to_owned()), ..Want::default() };
    scheduler
        .enter(&format!("caller{}", caller % CALLERS), Terms::default(), want)
        .await
        .expect("there is room")
}

fn dispatch(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let config = Config { size: 2 * WAITING, timeout: Duration::from_secs(3600), ..Config::default() };
    let registry = prometheus::Registry::new();
    let limits = [Some(SLOTS); UPSTREAMS];
    let scheduler = Scheduler::register(&registry, config, &limits, Arc::new(Alike)).expect("a new registry");
    let mut held: VecDeque<Slot> = VecDeque::new();
    let mut waiting = FuturesUnordered::new();
    let mut callers = 0..;
    let mut next = || callers.next().unwrap_or(0);
    for _ in 0..UPSTREAMS * SLOTS {
        held.extend(enter(scheduler.clone(), next()).now_or_never());
    }
    for _ in 0..WAITING {
        waiting.push(enter(scheduler.clone(), next()));
    }
    assert!(waiting.next().now_or_never().is_none(), "all slots are taken");
    // A stream ends, the request whose turn it is gets its slot, and another request arrives and waits.
    criterion.bench_function("scheduler/1000_waiting_of_64_callers_over_8_upstreams", |bencher| {
        bencher.iter(|| {
            drop(held.pop_front());
            held.extend(waiting.next().now_or_never().flatten());
            waiting.push(enter(scheduler.clone(), next()));
        });
    });
    assert_eq!(held.len(), UPSTREAMS * SLOTS);
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
