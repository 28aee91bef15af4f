//! Clients and upstreams that leave, and terms that make no sense.

use std::sync::PoisonError;

use super::*;

/// Two upstreams that may serve each request, unless they have vanished.
struct Vanishing(Arc<Mutex<Vec<usize>>>);

impl Fleet<Want> for Vanishing {
    fn candidates(&self, _: &Want, _: Outlook<'_>) -> Box<[Candidate]> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.iter().map(|upstream| Candidate { upstream: *upstream, patience: Duration::ZERO }).collect()
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
async fn thousand_clients_that_leave_at_once_leave_nothing_behind() {
    let config = Config { size: 2_000, timeout: 1_000 * SECOND, ..Config::default() };
    let (queue, registry) = queue(config, &[Some(1)]);
    let held = queue.first("a").await.unwrap();
    let mut clients = JoinSet::new();
    for number in 0..1_000 {
        let queue = queue.clone();
        clients.spawn(async move { queue.first(&format!("caller{}", number % 64)).await.is_ok() });
    }
    settle().await;
    assert_eq!((depth(&registry), queue.line().len()), ("1000".to_owned(), 1_000));
    // Some of them leave while the slot is on its way to them.
    drop(held);
    clients.abort_all();
    while clients.join_next().await.is_some() {}
    settle().await;
    assert_eq!((depth(&registry), queue.line().len()), ("0".to_owned(), 0));
    let (counts, waiting) = queue.counts();
    assert_eq!((counts[0].free, counts[0].busy, counts[0].releasing, waiting), (Some(1), 0, 0, 0));
    assert!(queue.first("b").now_or_never().is_some_and(|slot| slot.is_ok()), "the slot is free");
}

#[tokio::test(start_paused = true)]
async fn upstreams_that_vanish_with_a_full_queue_lose_no_request() {
    let left = Arc::new(Mutex::new(vec![0, 1]));
    let config = Config { size: 4, timeout: 60 * SECOND, ..Config::default() };
    let fleet = Arc::new(Vanishing(left.clone()));
    let queue = Scheduler::register(&Registry::new(), config, &[Some(1), Some(1)], fleet).unwrap();
    let held = [queue.first("a").await.unwrap(), queue.first("a").await.unwrap()];
    let mut waiting = JoinSet::new();
    for _ in 0..4 {
        let queue = queue.clone();
        waiting.spawn(async move { queue.first("a").await.map(|slot| slot.upstream()) });
    }
    settle().await;
    assert!(matches!(queue.first("a").await, Err(NoSlot::Full { .. })));
    *left.lock().unwrap() = vec![1];
    queue.refresher().refresh();
    let [at_gone, at_left] = held;
    drop(at_gone);
    settle().await;
    assert_eq!(queue.line().len(), 4, "the slot of an upstream that is gone helps nobody");
    drop(at_left);
    let mut served = Vec::new();
    while served.len() < 4 {
        served.push(waiting.join_next().await.unwrap().unwrap().unwrap());
    }
    assert_eq!(served, [1; 4]);
    // Both have vanished: the wait ends with the timeout.
    left.lock().unwrap().clear();
    assert!(matches!(queue.first("a").await, Err(NoSlot::Late { .. })));
    assert_eq!(queue.line().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn weight_of_zero_counts_as_one() {
    let (queue, _) = queue(Config::default(), &[Some(1)]);
    let held = queue.first("z").await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut requests = JoinSet::new();
    for caller in ["none", "none", "none", "one", "one", "one"] {
        let (queue, order) = (queue.clone(), order.clone());
        let terms = Terms { weight: u32::from(caller == "one"), ..Terms::default() };
        let want = Want { model: Some("0".to_owned()), ..Want::default() };
        requests.spawn(async move {
            let slot = queue.enter(caller, terms, want).await.unwrap();
            order.lock().unwrap().push(caller);
            tokio::time::sleep(SECOND).await;
            drop(slot);
        });
    }
    settle().await;
    drop(held);
    while requests.join_next().await.is_some() {}
    assert_eq!(*order.lock().unwrap(), ["none", "one", "none", "one", "none", "one"]);
}

#[tokio::test(start_paused = true)]
async fn place_in_the_queue_follows_priority_turns_and_weight() {
    let (queue, _) = queue(Config::default(), &[Some(2)]);
    // Each slot was held for ten seconds.
    for _ in 0..2 {
        let slot = queue.first("z").await.unwrap();
        tokio::time::sleep(10 * SECOND).await;
        drop(slot);
    }
    let _held = [queue.first("z").await.unwrap(), queue.first("z").await.unwrap()];
    let mut requests = JoinSet::new();
    for (id, caller, weight, priority) in [
        (1, "a", 1, Priority::Normal),
        (2, "a", 1, Priority::Normal),
        (3, "b", 2, Priority::Normal),
        (4, "b", 2, Priority::Normal),
        (5, "c", 1, Priority::Low),
        (6, "d", 1, Priority::High),
    ] {
        let queue = queue.clone();
        requests.spawn(async move {
            let terms = Terms { weight, priority, ..Terms::default() };
            let want = Want { id, model: Some("0".to_owned()), ..Want::default() };
            queue.enter(caller, terms, want).await.is_ok()
        });
        settle().await;
    }
    let line = queue.line();
    assert_eq!(line.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [6, 3, 1, 4, 2, 5]);
    assert_eq!(line.iter().map(|(_, position, _)| *position).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let waits: Vec<_> = line.iter().map(|(.., wait)| wait.unwrap().as_secs_f64().round() as u64).collect();
    assert_eq!(waits, [5, 10, 15, 20, 25, 30], "two slots of ten seconds each");
}

#[tokio::test(start_paused = true)]
async fn stream_that_its_upstream_has_finished_is_releasing_until_its_client_has_read_it() {
    let states = |queue: &Scheduler| {
        let counts = queue.counts().0[0];
        (counts.free, counts.busy, counts.releasing)
    };
    let (limited, _) = queue(Config::default(), &[Some(2)]);
    let mut slot = limited.first("a").await.unwrap();
    assert_eq!(states(&limited), (Some(1), 1, 0));
    slot.leave();
    assert_eq!(states(&limited), (Some(2), 0, 1));
    drop(slot);
    assert_eq!(states(&limited), (Some(2), 0, 0));
    let (unlimited, _) = queue(Config::default(), &[None]);
    let slot = unlimited.first("a").await.unwrap();
    assert_eq!(states(&unlimited), (None, 1, 0));
    drop(slot);
    assert_eq!(states(&unlimited), (None, 0, 0));
}
