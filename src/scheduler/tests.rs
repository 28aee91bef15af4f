//! The order of waiting requests, and the release of slots.

mod hostile;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt;
use prometheus::TextEncoder;
use tokio::task::JoinSet;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Upstreams of which nothing is known but their positions: each request names one.
struct Named(usize);

impl Fleet<Want> for Named {
    fn candidates(&self, want: &Want, _: Outlook<'_>) -> Box<[Candidate]> {
        let upstream =
            if want.is_cloud { self.0 } else { want.model.as_ref().map_or(0, |name| name.parse().unwrap()) };
        [Candidate { upstream, patience: Duration::ZERO }].into()
    }

    fn choose(&self, _: &Want, _: &[Free]) -> usize {
        0
    }

    fn granted(&self, _: usize, _: &Want) -> bool {
        false
    }

    fn abandoned(&self, _: usize) {}
}

fn queue(config: Config, limits: &[Option<usize>]) -> (Scheduler, Registry) {
    let registry = Registry::new();
    let scheduler = Scheduler::register(&registry, config, limits, Arc::new(Named(limits.len())));
    (scheduler.unwrap(), registry)
}

impl Scheduler {
    /// A slot at the upstream of this position.
    async fn at(&self, upstream: usize, caller: &str, max_streams: Option<usize>) -> Result<Slot, NoSlot> {
        let want = Want { model: Some(upstream.to_string()), ..Want::default() };
        self.enter(caller, Terms { max_streams, ..Terms::default() }, want).await
    }

    async fn first(&self, caller: &str) -> Result<Slot, NoSlot> {
        self.at(0, caller, None).await
    }
}

fn depth(registry: &Registry) -> String {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let line = text.lines().find(|line| line.starts_with("streamgauge_queue_depth{priority=\"normal\"}"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

/// Runs everything that is ready.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn caller_with_a_hundred_waiting_delays_another_callers_first_by_one() {
    let (queue, _) = queue(Config::default(), &[Some(1)]);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for caller in std::iter::repeat_n("greedy", 101).chain(["modest", "modest"]) {
        let (queue, order) = (queue.clone(), order.clone());
        tasks.spawn(async move {
            let _slot = queue.first(caller).await.unwrap();
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
    // The two came when 103 ms had passed, so that the second of the greedy had its slot.
    assert!(firsts[0] <= 3, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn queue_without_fairness_serves_in_order_of_arrival() {
    let config = Config { fair_by: FairBy::None, ..Config::default() };
    let (queue, _) = queue(config, &[Some(1)]);
    let held = queue.first("a").await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (number, caller) in ["a", "a", "a", "b"].into_iter().enumerate() {
        let (queue, order) = (queue.clone(), order.clone());
        tasks.spawn(async move {
            let _slot = queue.first(caller).await.unwrap();
            order.lock().unwrap().push(number);
        });
        settle().await;
    }
    drop(held);
    tasks.join_all().await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn slots_are_never_exceeded_and_never_lost_though_clients_leave() {
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
                let Ok(_slot) = queue.first(&caller).await else { return };
                assert!(running.fetch_add(1, Relaxed) < 3);
                let _leaves = Leaves(&running);
                tokio::time::sleep(Duration::from_millis(number % 11)).await;
            };
            let _ = tokio::time::timeout(patience, work).await;
        });
    }
    tasks.join_all().await;
    assert_eq!(depth(&registry), "0");
    assert_eq!(Arc::strong_count(&queue.shared), 1, "every slot came back");
    let slots = futures_util::future::join_all((0..3).map(|_| queue.first("x"))).await;
    assert!(slots.iter().all(Result::is_ok));
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn full_queue_evicts_newest_request_of_busiest_caller_until_both_have_half() {
    let (queue, registry) = queue(Config { size: 4, ..Config::default() }, &[Some(1)]);
    let held = queue.first("greedy").await.unwrap();
    let mut tasks = JoinSet::new();
    let refused = Arc::new(Mutex::new(Vec::new()));
    for (number, caller) in ["greedy"; 4].into_iter().chain(["modest"; 3]).chain(["greedy"]).enumerate() {
        let (queue, refused) = (queue.clone(), refused.clone());
        tasks.spawn(async move {
            if let Err(none) = queue.first(caller).await {
                assert!(matches!(none, NoSlot::Full { .. }), "{none}");
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
async fn full_queue_refuses_at_once_and_a_wait_ends_in_time() {
    let (queue, registry) = queue(Config { size: 1, timeout: SECOND, ..Config::default() }, &[Some(1)]);
    let _held = queue.first("a").await.unwrap();
    let late = tokio::spawn({
        let queue = queue.clone();
        async move { queue.first("b").await.map(drop) }
    });
    settle().await;
    assert_eq!(depth(&registry), "1");
    let start = Instant::now();
    assert!(matches!(queue.first("c").await, Err(NoSlot::Full { .. })));
    assert!(start.elapsed().is_zero());
    assert!(matches!(late.await.unwrap(), Err(NoSlot::Late { .. })));
    assert_eq!(start.elapsed().as_millis(), 999);
    assert_eq!(depth(&registry), "0");
}

#[tokio::test(start_paused = true)]
async fn queue_of_size_zero_lets_no_request_wait() {
    let (queue, _) = queue(Config { size: 0, ..Config::default() }, &[Some(1)]);
    let held = queue.first("a").await.unwrap();
    assert!(matches!(queue.first("a").await, Err(NoSlot::Full { .. })));
    drop(held);
    assert!(queue.first("a").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn client_that_disconnects_leaves_the_queue_at_once() {
    let (queue, registry) = queue(Config { size: 1, ..Config::default() }, &[Some(1)]);
    let _held = queue.first("a").await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.first("b").await.map(drop) }
    });
    settle().await;
    waiting.abort();
    settle().await;
    assert_eq!(depth(&registry), "0");
    let next = queue.first("c");
    assert!(tokio::time::timeout(SECOND, next).await.is_err(), "it waits, for there is room");
}

#[tokio::test(start_paused = true)]
async fn caller_at_its_own_limit_waits_and_delays_nobody() {
    let (queue, _) = queue(Config::default(), &[Some(2), None]);
    // Its bound holds over all upstreams, one without a bound too.
    let first = queue.at(1, "alice", Some(1)).await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.at(0, "alice", Some(1)).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    let bob = queue.first("bob").await.unwrap();
    drop(first);
    let second = waiting.await.unwrap().unwrap();
    assert!(tokio::time::timeout(SECOND, queue.first("bob")).await.is_err(), "both are taken");
    drop((second, bob));
}

#[tokio::test(start_paused = true)]
async fn request_that_the_upstream_has_finished_is_its_callers_stream_still() {
    let (queue, _) = queue(Config::default(), &[Some(1)]);
    let mut slow = queue.at(0, "alice", Some(1)).await.unwrap();
    assert!(tokio::time::timeout(SECOND, queue.first("bob")).await.is_err());
    slow.leave();
    slow.leave();
    let bob = queue.first("bob").await.unwrap();
    drop(bob);
    assert!(tokio::time::timeout(SECOND, queue.at(0, "alice", Some(1))).await.is_err(), "it has one");
    drop(slow);
    let second = queue.at(0, "alice", Some(1)).await.unwrap();
    assert!(tokio::time::timeout(SECOND, queue.first("bob")).await.is_err(), "one slot, not two");
    drop(second);
    queue.first("bob").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn wait_is_measured() {
    let (queue, registry) = queue(Config::default(), &[Some(1)]);
    let held = queue.first("a").await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.first("b").await }
    });
    tokio::time::sleep(3 * SECOND).await;
    drop(held);
    waiting.await.unwrap().unwrap();
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("streamgauge_queue_wait_seconds_sum{priority=\"normal\"} 3\n"), "{text}");
    assert!(text.contains("streamgauge_queue_wait_seconds_count{priority=\"normal\"} 2\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn caller_at_its_limit_gets_a_slot_at_another_upstream_though_its_loops_keep_the_first_busy() {
    let (queue, _) = queue(Config::default(), &[Some(4), Some(4)]);
    let mut loops = JoinSet::new();
    for _ in 0..2 {
        let queue = queue.clone();
        loops.spawn(async move {
            loop {
                let _slot = queue.at(0, "a", Some(1)).await.unwrap();
                tokio::time::sleep(SECOND).await;
            }
        });
    }
    settle().await;
    let began = tokio::time::Instant::now();
    let _slot = queue.at(1, "a", Some(1)).await.unwrap();
    // Behind the stream that ran and the one that waited before it.
    assert!(began.elapsed() <= 2 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn thousand_clients_that_leave_at_once_leave_nothing_behind() {
    let (queue, registry) = queue(Config { size: 1_000, ..Config::default() }, &[Some(1), Some(1)]);
    let held = [queue.first("a").await.unwrap(), queue.at(1, "a", None).await.unwrap()];
    let mut tasks = JoinSet::new();
    for number in 0..1_000 {
        let queue = queue.clone();
        tasks.spawn(async move {
            queue.at(number % 2, &format!("caller{}", number % 50), Some(1)).await.map(drop)
        });
    }
    settle().await;
    assert_eq!(queue.shared.waiting(), 1_000);
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    assert_eq!((queue.shared.waiting(), depth(&registry).as_str()), (0, "0"));
    drop(held);
    assert!(queue.first("b").await.is_ok() && queue.at(1, "b", None).await.is_ok());
}

/// Upstreams that no request may be sent to, as when their models change while a request arrives.
struct Unfit;

impl Fleet<Want> for Unfit {
    fn candidates(&self, _: &Want, _: Outlook<'_>) -> Box<[Candidate]> {
        [].into()
    }

    fn choose(&self, _: &Want, free: &[Free]) -> usize {
        assert!(!free.is_empty());
        0
    }

    fn granted(&self, _: usize, _: &Want) -> bool {
        false
    }

    fn abandoned(&self, _: usize) {}
}

#[tokio::test(start_paused = true)]
async fn request_without_candidates_goes_to_an_untried_upstream_or_waits_in_the_queue() {
    let enter = async |limits: &[Option<usize>], tried: &[usize]| {
        let want = Want { tried: tried.to_vec(), ..Want::default() };
        Scheduler::for_test(limits, Arc::new(Unfit)).enter("a", Terms::default(), want).await
    };
    assert_eq!(enter(&[None, None], &[]).await.unwrap().upstream(), 0);
    assert_eq!(enter(&[None, None], &[0]).await.unwrap().upstream(), 1);
    let began = Instant::now();
    assert!(matches!(enter(&[Some(1), Some(1)], &[]).await, Err(NoSlot::Late { .. })));
    assert_eq!(began.elapsed(), Config::default().timeout);
}

/// An upstream that a request may be sent to from some time on, of which nobody tells the scheduler.
struct Later(Instant);

impl Fleet<Want> for Later {
    fn candidates(&self, _: &Want, _: Outlook<'_>) -> Box<[Candidate]> {
        let candidate = Candidate { upstream: 1, patience: Duration::ZERO };
        if Instant::now() >= self.0 { [candidate].into() } else { [].into() }
    }

    fn choose(&self, _: &Want, _: &[Free]) -> usize {
        0
    }

    fn granted(&self, _: usize, _: &Want) -> bool {
        false
    }

    fn abandoned(&self, _: usize) {}
}

#[tokio::test(start_paused = true)]
async fn waiting_request_gets_an_upstream_that_becomes_a_candidate_by_time_alone() {
    let began = Instant::now();
    let fleet = Later(began + 5 * SECOND);
    let scheduler = Scheduler::for_test(&[Some(1), Some(1)], Arc::new(fleet));
    let slot = scheduler.enter("a", Terms::default(), Want::default()).await.unwrap();
    assert_eq!(slot.upstream(), 1);
    assert!((5 * SECOND..=6 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
}

/// A stream that did not wait inside Ollama.
const QUICK: StreamCost = StreamCost { hidden: Some(0.0), token: Some(0.01), before: None, tokens: 100 };

/// Ends the oldest stream after a second, and begins another one in its slot.
async fn turn(queue: &Scheduler, held: &mut std::collections::VecDeque<Slot>) {
    tokio::time::sleep(SECOND).await;
    let mut oldest = held.pop_front().unwrap();
    let watch = oldest.take_watch().expect("the limit is found");
    oldest.leave();
    watch.tell(QUICK);
    drop(oldest);
    held.push_back(queue.first("a").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn found_limit_lets_one_stream_at_a_time_run_above_it_and_rises_if_that_did_not_wait() {
    let (queue, registry) = queue(Config::default(), &[Some(4)]);
    queue.find_limit(0, "gpu0", None);
    let shown = || {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let line = text.lines().find(|line| line.starts_with("streamgauge_stream_limit{upstream=\"gpu0\"}"));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let mut held = std::collections::VecDeque::new();
    for _ in 0..4 {
        held.push_back(queue.first("a").await.unwrap());
    }
    let waits = async || tokio::time::timeout(SECOND, queue.first("a")).await.is_err();
    assert!(waits().await, "it starts at 4");
    for _ in 0..8 {
        turn(&queue, &mut held).await;
    }
    // Nobody watches the end of this stream above the limit, so that it shows nothing.
    let above = queue.first("a").await.unwrap();
    assert!(waits().await, "one stream only");
    drop(above);
    assert_eq!(shown(), "4");
    for _ in 0..4 {
        turn(&queue, &mut held).await;
    }
    let mut above = queue.first("a").await.unwrap();
    assert!(waits().await);
    assert_eq!(shown(), "4");
    let watch = above.take_watch().expect("the limit is found");
    above.leave();
    watch.tell(QUICK);
    assert_eq!(shown(), "5");
}

#[tokio::test(start_paused = true)]
async fn request_above_the_cap_of_its_caller_waits_until_the_cap_rises() {
    let (queue, registry) = queue(Config::default(), &[None]);
    assert_eq!(queue.cap("shared", Some(1)), 0);
    let first = queue.at(0, "shared", Some(9)).await.unwrap();
    let mut waiting = JoinSet::new();
    let other = queue.clone();
    waiting.spawn(async move { other.at(0, "shared", Some(9)).await.unwrap() });
    settle().await;
    assert_eq!(depth(&registry), "1", "the terms have room, and the cap has none");
    assert_eq!(queue.cap("shared", Some(0)), 1, "a running stream continues");
    drop(first);
    settle().await;
    assert_eq!((queue.cap("shared", Some(0)), depth(&registry).as_str()), (0, "1"));
    assert_eq!(queue.cap("shared", Some(1)), 1, "the waiting request has its slot");
    drop(waiting.join_next().await.unwrap().unwrap());
    assert_eq!(queue.cap("shared", None), 0);
}
