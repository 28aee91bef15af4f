//! Tests which waits are loads, and why.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Requests to one model, with a clock that the test sets.
struct Bench {
    loads: Arc<Loads>,
    began: Instant,
}

fn bench() -> Bench {
    // Far enough from the start, so that older knowledge can exist.
    let began = Instant::now() + 100 * FRESH;
    let counts = LoadCause::ALL.map(|_| Arc::new(crate::metric::int_counter()));
    Bench { loads: Loads::new(counts, false), began }
}

impl Bench {
    fn at(&self, millis: u32) -> Instant {
        self.began + millis * MS
    }

    /// Sends a request for each of `waits` at the time `at`. The request waits that long for the model.
    fn burst(&self, at: u32, memory: Option<bool>, waits: impl IntoIterator<Item = u32>) {
        let memory = memory.map(|is_there| (is_there, self.at(at)));
        let waits: Vec<_> = waits.into_iter().map(|wait| (self.wait(at, memory, None), wait)).collect();
        for (waiter, wait) in waits {
            let _ = waiter.told(wait * MS, self.began, self.at(at + wait));
        }
    }

    fn wait(&self, at: u32, memory: Option<(bool, Instant)>, pushed: Option<u32>) -> Waiter {
        let pushed = pushed.map(|at| Pushed { at: self.at(at), label: "b:1".to_owned(), caller: None });
        self.loads.wait(self.at(at), &Arc::default(), memory, pushed)
    }

    fn appeared(&self, from: u32, to: u32) {
        self.loads.appeared(Span { from: self.at(from), to: self.at(to) }, false, None);
    }

    fn counted(&self) -> u64 {
        self.loads.counts.iter().map(|count| count.get()).sum()
    }
}

#[test]
fn load_durations_of_concurrent_streams_of_loaded_model_are_no_loads() {
    let bench = bench();
    for at in 0..10 {
        bench.burst(at * 2_000, Some(true), (0..32).map(|wait| 500 + wait * 20));
    }
    assert_eq!(bench.counted(), 0);
    // Only the answers of the model so far show that it is in memory.
    bench.loads.answered(bench.at(20_000));
    bench.burst(21_000, None, (0..32).map(|wait| 500 + wait * 20));
    assert_eq!(bench.counted(), 0);
}

#[test]
fn load_with_many_waiting_requests_counts_once() {
    let bench = bench();
    bench.burst(0, Some(false), (0..32).map(|late| 1_500 + late));
    assert_eq!(bench.counted(), 1);
    bench.burst(10_000, Some(false), [400, 390]);
    assert_eq!(bench.counted(), 2, "a quick one");
    bench.burst(20_000, Some(false), [5, 7]);
    assert_eq!(bench.counted(), 2, "somebody else had it loaded");
}

#[test]
fn load_is_counted_for_unusual_wait_of_lone_request() {
    let bench = bench();
    for (at, wait, counted) in
        [(0, 200, 0), (1_000, 210, 0), (2_000, 580, 0), (3_000, 1_500, 1), (9_000, 200, 1)]
    {
        bench.burst(at, Some(true), [wait]);
        assert_eq!(bench.counted(), counted, "{wait} ms at {at}");
    }
    // Since 0.30, a request for a loaded model waits a millisecond.
    let bench = self::bench();
    bench.burst(0, None, [1]);
    bench.burst(1_000, None, [300]);
    assert_eq!(bench.counted(), 1);
}

#[test]
fn load_of_possibly_evicted_model_is_judged_by_its_wait() {
    let bench = bench();
    bench.burst(0, Some(true), [200]);
    let (first, second) = (
        bench.wait(1_000, Some((true, bench.at(900))), Some(950)),
        bench.wait(1_000, Some((true, bench.at(900))), Some(950)),
    );
    let _ = first.told(900 * MS, bench.began, bench.at(1_900));
    let _ = second.told(890 * MS, bench.began, bench.at(1_890));
    assert_eq!(bench.counted(), 1);
}

#[test]
fn load_state_that_is_too_old_is_unknown() {
    let bench = bench();
    let waiter = bench.wait(60_000, Some((true, bench.at(0))), None);
    assert_eq!(waiter.whereabouts, Whereabouts::Unknown);
    drop(waiter);
    bench.loads.answered(bench.at(59_000));
    let waiter = bench.wait(60_000, Some((false, bench.at(58_000))), None);
    assert_eq!(waiter.whereabouts, Whereabouts::Present, "it answered since");
}

#[test]
fn load_seen_in_memory_after_response_is_not_counted_again() {
    let bench = bench();
    // The request reached the upstream late: its wait was over at 1,300 and not at 800.
    let waiter = bench.wait(0, Some((false, bench.at(0))), None);
    let _ = waiter.told(800 * MS, bench.began, bench.at(1_400));
    drop(waiter);
    bench.appeared(1_200, 1_500);
    bench.loads.settle(bench.at(1_500));
    assert_eq!(bench.counted(), 1);
}

#[test]
fn upload_time_is_no_load() {
    let bench = bench();
    let waiter = bench.wait(0, None, None);
    let _ = waiter.told(9_000 * MS, bench.at(8_990), bench.at(9_100));
    assert_eq!(bench.counted(), 0);
}

#[test]
fn load_that_no_response_reports_is_counted_when_seen_in_memory() {
    let bench = bench();
    let seen = |from, to| bench.appeared(from, to);
    seen(0, 5_000);
    bench.loads.settle(bench.at(5_000));
    assert_eq!(bench.counted(), 1, "no running request can report it");
    // A running request may still report the load. Here it reports the same load, later.
    let waiter = bench.wait(31_000, Some((false, bench.at(30_000))), None);
    seen(30_000, 35_000);
    bench.loads.settle(bench.at(35_000));
    assert_eq!(bench.counted(), 1);
    let _ = waiter.told(2_000 * MS, bench.began, bench.at(33_000));
    bench.loads.settle(bench.at(40_000));
    assert_eq!(bench.counted(), 2);
    // A request that runs longer reports it after it was counted.
    drop(waiter);
    let waiter = bench.wait(51_000, Some((false, bench.at(50_000))), None);
    seen(50_000, 55_000);
    bench.loads.settle(bench.at(100_000));
    assert_eq!(bench.counted(), 3);
    let _ = waiter.told(2_000 * MS, bench.began, bench.at(53_000));
    assert_eq!(bench.counted(), 3);
    // Two loads within one span between probes.
    drop(waiter);
    seen(120_000, 125_000);
    bench.burst(121_000, Some(false), [500]);
    bench.burst(123_000, Some(false), [500]);
    bench.loads.settle(bench.at(125_000));
    assert_eq!(bench.counted(), 5);
}

impl Bench {
    /// Sends a request of a caller, which waits for the model for a second. Returns the load that it reports.
    fn asks(&self, at: u32, caller: &str, body: &str) -> Option<ModelLoad> {
        let order =
            Order { options: crate::protocol::Peek::read(body.as_bytes()).load, caller: Some(caller.into()) };
        let waiter = self.loads.wait(self.at(at), &Arc::new(order), None, None);
        let load = waiter.told(1_000 * MS, self.began, self.at(at + 1_000));
        self.loads.answered(self.at(at + 1_100));
        load
    }
}

#[test]
fn thrash_by_two_callers_names_both_and_the_option() {
    let bench = bench();
    let first = bench.asks(0, "alice", r#"{"options":{"num_ctx":4096}}"#).unwrap();
    assert_eq!((first.cause, first.caller.as_deref()), (LoadCause::First, Some("alice")));
    for at in [5_000, 10_000] {
        let load = bench.asks(at, "bob", r#"{"options":{"num_ctx":8192}}"#).unwrap();
        assert_eq!(load.cause, LoadCause::Context);
        assert_eq!((load.caller.as_deref(), load.earlier_caller.as_deref()), (Some("bob"), Some("alice")));
        let difference = Difference { option: "num_ctx", before: Some(4_096), now: Some(8_192) };
        assert_eq!(load.difference, Some(difference));
        let back = bench.asks(at + 2_500, "alice", r#"{"options":{"num_ctx":4096}}"#).unwrap();
        assert_eq!((back.cause, back.earlier_caller.as_deref()), (LoadCause::Context, Some("bob")));
    }
    let counted = LoadCause::ALL.map(|cause| bench.loads.counts[cause.index()].get());
    assert_eq!(counted, [1, 4, 0, 0, 0, 0]);
}

#[test]
fn change_of_options_without_a_load_explains_no_later_load() {
    let bench = bench();
    let _ = bench.asks(0, "alice", r#"{"options":{"num_ctx":4096}}"#);
    // The model's own context has 4096 tokens too, so nothing is loaded.
    let order = Arc::new(Order { caller: Some("bob".into()), ..Order::default() });
    let quick = bench.loads.wait(bench.at(5_000), &order, None, None);
    assert_eq!(quick.told(MS, bench.began, bench.at(5_001)), None);
    drop(quick);
    bench.loads.answered(bench.at(5_100));
    let absent = Some((false, bench.at(9_000)));
    let waiter = bench.loads.wait(bench.at(9_500), &order, absent, None);
    let load = waiter.told(1_000 * MS, bench.began, bench.at(10_500)).unwrap();
    assert_eq!((load.cause, load.difference), (LoadCause::Restart, None));
}

#[test]
fn load_of_evicted_model_names_the_model_that_evicted_it_and_its_caller() {
    let bench = bench();
    let _ = bench.asks(0, "alice", "{}");
    let pushed = Pushed { at: bench.at(5_000), label: "b:1".to_owned(), caller: Some("bob".into()) };
    let order = Arc::new(Order { caller: Some("alice".into()), ..Order::default() });
    let waiter = bench.loads.wait(bench.at(6_000), &order, Some((false, bench.at(5_500))), Some(pushed));
    let load = waiter.told(1_000 * MS, bench.began, bench.at(7_000)).unwrap();
    assert_eq!((load.cause, load.evicted_by.as_deref()), (LoadCause::Evicted, Some("b:1")));
    assert_eq!((load.caller.as_deref(), load.earlier_caller.as_deref()), (Some("alice"), Some("bob")));
}

#[test]
fn load_seen_in_memory_has_its_cause_too() {
    let bench = bench();
    let span = |from, to| Span { from: bench.at(from), to: bench.at(to) };
    let seen = |at, expires| Seen { at: bench.at(at), expires: Some(bench.at(expires)) };
    let counts = || LoadCause::ALL.map(|cause| bench.loads.counts[cause.index()].get());
    bench.loads.appeared(span(0, 5_000), false, None);
    bench.loads.listed(seen(5_000, 305_000));
    bench.loads.settle(bench.at(5_000));
    assert_eq!(counts(), [1, 0, 0, 0, 0, 0]);
    bench.loads.appeared(span(10_000, 15_000), true, None);
    bench.loads.listed(seen(15_000, 30_000));
    bench.loads.settle(bench.at(15_000));
    assert_eq!(counts(), [1, 1, 0, 0, 0, 0]);
    bench.loads.appeared(span(40_000, 45_000), false, None);
    bench.loads.listed(seen(45_000, 345_000));
    bench.loads.settle(bench.at(45_000));
    assert_eq!(counts(), [1, 1, 0, 0, 1, 0]);
    bench.loads.lost(bench.at(50_000));
    bench.loads.appeared(span(55_000, 60_000), false, None);
    bench.loads.settle(bench.at(60_000));
    assert_eq!(counts(), [1, 1, 0, 0, 1, 1]);
}

#[test]
fn slow_reload_that_the_list_shows_first_is_counted_once_and_reported_later() {
    let bench = bench();
    let _ = bench.asks(0, "alice", r#"{"options":{"num_ctx":4096}}"#);
    bench.loads.listed(Seen { at: bench.at(5_000), expires: Some(bench.at(305_000)) });
    let options = crate::protocol::Peek::read(br#"{"options":{"num_ctx":8192}}"#).load;
    let order = Arc::new(Order { options, caller: Some("bob".into()) });
    let waiter = bench.loads.wait(bench.at(6_000), &order, Some((true, bench.at(5_000))), None);
    // The list at 10 s lacks the model, the one at 20 s has it, and the answer takes more than half a minute.
    bench.appeared(10_000, 20_000);
    bench.loads.listed(Seen { at: bench.at(20_000), expires: Some(bench.at(320_000)) });
    bench.loads.settle(bench.at(55_000));
    let counts = || LoadCause::ALL.map(|cause| bench.loads.counts[cause.index()].get());
    assert_eq!(counts(), [1, 1, 0, 0, 0, 0]);
    let load = waiter.told(9_000 * MS, bench.began, bench.at(20_000)).unwrap();
    assert_eq!((load.cause, load.earlier_caller.as_deref()), (LoadCause::Context, Some("alice")));
    assert_eq!(counts(), [1, 1, 0, 0, 0, 0]);
    assert_eq!(waiter.told(9_000 * MS, bench.began, bench.at(20_000)), None, "it was reported");
}

#[test]
fn load_after_unload_is_expired_even_if_the_list_shows_it_after_an_answer() {
    let bench = bench();
    let _ = bench.asks(0, "alice", "{}");
    let waits = |at, body: &str, memory| {
        let order = Order { options: crate::protocol::Peek::read(body.as_bytes()).load, caller: None };
        bench.loads.wait(bench.at(at), &Arc::new(order), memory, None)
    };
    let mut unload = waits(5_000, r#"{"keep_alive":0}"#, None);
    bench.loads.answered(bench.at(5_010));
    unload.ended = Some(bench.at(5_010));
    drop(unload);
    // The list was requested just before the model left, so that the sidecar thinks that the model is there.
    let memory = Some((false, bench.at(5_005)));
    let (first, second) = (waits(5_100, "{}", memory), waits(5_100, "{}", memory));
    assert_eq!(first.told(800 * MS, bench.began, bench.at(5_900)), None);
    drop(first);
    bench.appeared(5_800, 5_950);
    drop(second);
    bench.loads.settle(bench.at(5_950));
    assert_eq!(bench.loads.counts[LoadCause::Expired.index()].get(), 1);
}

#[test]
fn first_request_with_another_context_than_the_one_in_memory_names_both() {
    let bench = bench();
    bench.loads.listed(Seen { at: bench.at(0), expires: None });
    let options = crate::protocol::Peek::read(br#"{"options":{"num_ctx":512}}"#).load;
    let order = Arc::new(Order { options, caller: Some("alice".into()) });
    let mut waiter = bench.loads.wait(bench.at(1_000), &order, Some((true, bench.at(0))), None);
    waiter.finds_context(Some(4_096));
    let load = waiter.told(1_000 * MS, bench.began, bench.at(2_000)).unwrap();
    let difference = Difference { option: "num_ctx", before: Some(4_096), now: Some(512) };
    assert_eq!((load.cause, load.difference), (LoadCause::Context, Some(difference)));
    assert_eq!((load.caller.as_deref(), load.earlier_caller), (Some("alice"), None));
}

#[test]
fn load_after_keep_alive_has_passed_names_the_caller_that_set_it() {
    for (keep_alive, time) in [("0", Some(Duration::ZERO)), (r#""2s""#, Some(2_000 * MS)), ("null", None)] {
        let bench = bench();
        let waits = |at, caller: &str, body: &str, memory| {
            let options = crate::protocol::Peek::read(body.as_bytes()).load;
            let order = Arc::new(Order { options, caller: Some(caller.into()) });
            bench.loads.wait(bench.at(at), &order, memory, None)
        };
        let _ = waits(0, "alice", "{}", None).told(1_000 * MS, bench.began, bench.at(1_100));
        bench.loads.listed(Seen { at: bench.at(4_000), expires: Some(bench.at(7_000)) });
        let mut unloads = waits(5_000, "bob", &format!(r#"{{"keep_alive":{keep_alive}}}"#), None);
        unloads.ended = Some(bench.at(5_010));
        drop(unloads);
        let waiter = waits(9_000, "alice", "{}", Some((false, bench.at(8_900))));
        let load = waiter.told(1_000 * MS, bench.began, bench.at(10_100)).unwrap();
        assert_eq!(load.cause, LoadCause::Expired, "{keep_alive}");
        assert_eq!((load.caller.as_deref(), load.earlier_caller.as_deref()), (Some("alice"), Some("bob")));
        assert_eq!(load.expired_after, time, "{keep_alive}");
    }
}
