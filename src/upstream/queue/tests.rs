//! The order of turns, and the accounting of slots.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use prometheus::TextEncoder;
use tokio::task::JoinSet;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn queue(config: Config, places: &[Option<usize>]) -> (Queue, Registry) {
    let registry = Registry::new();
    let names = ["gpu0", "gpu1"];
    let upstreams: Vec<_> = names.into_iter().zip(places.iter().copied()).collect();
    (Queue::register(&registry, config, &upstreams).unwrap(), registry)
}

const fn wish(caller: &str) -> Wish<'_> {
    Wish { upstream: 0, caller, max_streams: None }
}

fn depth(registry: &Registry) -> String {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let line = text.lines().find(|line| line.starts_with("streamgauge_queue_depth{upstream=\"gpu0\"}"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

/// Runs everything that is ready.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn busy_caller_delays_first_request_of_another_by_one() {
    let (queue, _) = queue(Config::default(), &[Some(1)]);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for caller in std::iter::repeat_n("greedy", 101).chain(["modest", "modest"]) {
        let (queue, order) = (queue.clone(), order.clone());
        tasks.spawn(async move {
            let _place = queue.enter(wish(caller)).await.unwrap();
            order.lock().unwrap().push(caller);
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        settle().await;
    }
    tasks.join_all().await;
    let order = order.lock().unwrap();
    let firsts: Vec<_> = (0..order.len()).filter(|place| order[*place] == "modest").collect();
    let began = order.len() - 101;
    assert_eq!(began, 2);
    assert!(firsts[1] - firsts[0] == 2, "they take turns: {firsts:?}");
    // The two came after 103 ms, when the second request of the greedy caller had its slot.
    assert!(firsts[0] <= 3, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn queue_without_fairness_is_first_in_first_out() {
    let config = Config { fair_by: FairBy::None, ..Config::default() };
    let (queue, _) = queue(config, &[Some(1)]);
    let held = queue.enter(wish("a")).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (number, caller) in ["a", "a", "a", "b"].into_iter().enumerate() {
        let (queue, order) = (queue.clone(), order.clone());
        tasks.spawn(async move {
            let _place = queue.enter(wish(caller)).await.unwrap();
            order.lock().unwrap().push(number);
        });
        settle().await;
    }
    drop(held);
    tasks.join_all().await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn queue_never_exceeds_or_loses_slots_when_clients_leave() {
    let (queue, registry) = queue(Config { size: 10_000, ..Config::default() }, &[Some(3)]);
    let running = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..2_000_u64 {
        let (queue, running) = (queue.clone(), running.clone());
        let caller = format!("caller{}", number % 7);
        tasks.spawn(async move {
            // Every third request leaves while it waits or while it runs.
            let patience = if number % 3 == 0 { Duration::from_millis(number) } else { 10_000 * SECOND };
            let work = async {
                let _place = queue.enter(wish(&caller)).await;
                let Ok(_place) = _place else { return };
                assert!(running.fetch_add(1, Relaxed) < 3);
                let _leaves = Leaves(&running);
                tokio::time::sleep(Duration::from_millis(number % 11)).await;
            };
            let _ = tokio::time::timeout(patience, work).await;
        });
    }
    tasks.join_all().await;
    assert_eq!(depth(&registry), "0");
    assert_eq!(Arc::strong_count(&queue.shared), 1, "every place came back");
    let places = futures_util::future::join_all((0..3).map(|_| queue.enter(wish("x")))).await;
    assert!(places.iter().all(Result::is_ok));
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn full_queue_evicts_newest_request_of_busiest_caller() {
    let (queue, registry) = queue(Config { size: 4, ..Config::default() }, &[Some(1)]);
    let held = queue.enter(wish("greedy")).await.unwrap();
    let mut tasks = JoinSet::new();
    let refused = Arc::new(Mutex::new(Vec::new()));
    for (number, caller) in ["greedy"; 4].into_iter().chain(["modest"; 3]).chain(["greedy"]).enumerate() {
        let (queue, refused) = (queue.clone(), refused.clone());
        tasks.spawn(async move {
            if let Err(none) = queue.enter(wish(caller)).await {
                assert!(matches!(none, NoPlace::Full { .. }), "{none}");
                refused.lock().unwrap().push(number);
            }
        });
        settle().await;
        assert!(depth(&registry).parse::<usize>().unwrap() <= 4);
    }
    // Two requests of the greedy caller, the newest first; then each caller's own.
    assert_eq!(*refused.lock().unwrap(), [3, 2, 6, 7]);
    drop(held);
    tasks.join_all().await;
    assert_eq!(depth(&registry), "0");
}

#[tokio::test(start_paused = true)]
async fn full_queue_refuses_at_once_and_wait_ends_at_its_timeout() {
    let (queue, registry) = queue(Config { size: 1, timeout: SECOND, ..Config::default() }, &[Some(1)]);
    let _held = queue.enter(wish("a")).await.unwrap();
    let late = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enter(wish("b")).await.map(drop) }
    });
    settle().await;
    assert_eq!(depth(&registry), "1");
    let start = Instant::now();
    assert!(matches!(queue.enter(wish("c")).await, Err(NoPlace::Full { .. })));
    assert!(start.elapsed().is_zero());
    assert!(matches!(late.await.unwrap(), Err(NoPlace::Late { .. })));
    assert_eq!(start.elapsed().as_millis(), 999);
    assert_eq!(depth(&registry), "0");
}

#[tokio::test(start_paused = true)]
async fn queue_of_length_zero_lets_no_request_wait() {
    let (queue, _) = queue(Config { size: 0, ..Config::default() }, &[Some(1)]);
    let held = queue.enter(wish("a")).await.unwrap();
    assert!(matches!(queue.enter(wish("a")).await, Err(NoPlace::Full { .. })));
    drop(held);
    assert!(queue.enter(wish("a")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn queued_request_leaves_at_once_if_its_client_leaves() {
    let (queue, registry) = queue(Config { size: 1, ..Config::default() }, &[Some(1)]);
    let _held = queue.enter(wish("a")).await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enter(wish("b")).await.map(drop) }
    });
    settle().await;
    waiting.abort();
    settle().await;
    assert_eq!(depth(&registry), "0");
    let next = queue.enter(wish("c"));
    assert!(tokio::time::timeout(SECOND, next).await.is_err(), "it waits, for there is room");
}

#[tokio::test(start_paused = true)]
async fn caller_at_its_own_limit_waits_and_delays_nobody() {
    let (queue, _) = queue(Config::default(), &[Some(2), None]);
    let alice = |upstream| Wish { upstream, caller: "alice", max_streams: Some(1) };
    // The limit holds for all upstreams together, including one without a limit.
    let first = queue.enter(alice(1)).await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enter(Wish { upstream: 0, caller: "alice", max_streams: Some(1) }).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    let bob = queue.enter(wish("bob")).await.unwrap();
    drop(first);
    let second = waiting.await.unwrap().unwrap();
    assert!(tokio::time::timeout(SECOND, queue.enter(wish("bob"))).await.is_err(), "both are taken");
    drop((second, bob));
}

#[tokio::test(start_paused = true)]
async fn stream_finished_by_upstream_still_counts_for_its_caller() {
    let (queue, _) = queue(Config::default(), &[Some(1)]);
    let alice = Wish { upstream: 0, caller: "alice", max_streams: Some(1) };
    let mut slow = queue.enter(alice).await.unwrap();
    assert!(tokio::time::timeout(SECOND, queue.enter(wish("bob"))).await.is_err());
    slow.leave();
    slow.leave();
    let bob = queue.enter(wish("bob")).await.unwrap();
    drop(bob);
    assert!(tokio::time::timeout(SECOND, queue.enter(alice)).await.is_err(), "it has one");
    drop(slow);
    let second = queue.enter(alice).await.unwrap();
    assert!(tokio::time::timeout(SECOND, queue.enter(wish("bob"))).await.is_err(), "one place, not two");
    drop(second);
    queue.enter(wish("bob")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn queue_wait_is_measured() {
    let (queue, registry) = queue(Config::default(), &[Some(1)]);
    let held = queue.enter(wish("a")).await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enter(wish("b")).await }
    });
    tokio::time::sleep(3 * SECOND).await;
    drop(held);
    waiting.await.unwrap().unwrap();
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("streamgauge_queue_wait_seconds_sum{upstream=\"gpu0\"} 3\n"), "{text}");
    assert!(text.contains("streamgauge_queue_wait_seconds_count{upstream=\"gpu0\"} 2\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn caller_at_its_limit_gets_slot_at_another_upstream() {
    let (queue, _) = queue(Config::default(), &[Some(4), Some(4)]);
    let wish = |upstream| Wish { upstream, caller: "a", max_streams: Some(1) };
    let mut loops = JoinSet::new();
    for _ in 0..2 {
        let queue = queue.clone();
        loops.spawn(async move {
            loop {
                let _place = queue.enter(wish(0)).await.unwrap();
                tokio::time::sleep(SECOND).await;
            }
        });
    }
    settle().await;
    let began = tokio::time::Instant::now();
    let _place = queue.enter(wish(1)).await.unwrap();
    // Behind the stream that ran and the one that waited before it.
    assert!(began.elapsed() <= 2 * SECOND, "{:?}", began.elapsed());
}
