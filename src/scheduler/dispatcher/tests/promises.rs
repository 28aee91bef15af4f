//! The promises of the scheduler, with one case each.

use super::*;

fn everywhere(upstreams: usize) -> Box<[Candidate]> {
    (0..upstreams).map(|upstream| Candidate { upstream, patience: Duration::ZERO }).collect()
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A dispatcher, and the table of one row with all upstreams.
fn dispatcher(limits: &[usize], size: usize) -> (Dispatcher<usize, u64>, Table) {
    let table = Table { rows: vec![everywhere(limits.len()).into_vec()], down: vec![false; limits.len()] };
    (Dispatcher::new(settings(size), limits.iter().map(|limit| Some(*limit))), table)
}

fn of(priority: Priority) -> Terms {
    Terms { priority, ..Terms::default() }
}

/// A request that waits, with the number that its grant tells.
fn waits(
    dispatcher: &mut Dispatcher<usize, u64>,
    table: &Table,
    now: Duration,
    caller: &str,
    terms: Terms,
    tells: u64,
) {
    let request = ask(caller, terms, table.rows[0].clone().into());
    assert!(dispatcher.take(now, &request, &0, table).is_none());
    assert!(dispatcher.wait(now, request, 0, tells).is_some());
}

/// Ends a stream, and tells who got its slot.
fn next(dispatcher: &mut Dispatcher<usize, u64>, table: &Table, now: Duration, lease: &mut Lease) -> u64 {
    dispatcher.free(now, lease, table);
    dispatcher.end(now, lease, table);
    let grant = dispatcher.granted().pop().expect("somebody waits");
    *lease = grant.lease;
    grant.grant
}

#[test]
fn nine_requests_take_the_nine_slots_of_two_upstreams() {
    let (mut dispatcher, table) = dispatcher(&[1, 8], 128);
    for _ in 0..9 {
        let request = ask("a", Terms::default(), everywhere(2));
        assert!(dispatcher.take(Duration::ZERO, &request, &0, &table).is_some());
    }
    assert_eq!([dispatcher.slots(0), dispatcher.slots(1)], [(1, Some(1)), (8, Some(8))]);
}

#[test]
fn high_priority_goes_first_and_waiting_request_of_low_priority_rises_until_it_goes() {
    let (mut dispatcher, table) = dispatcher(&[1], 1024);
    let first = ask("high", of(Priority::High), everywhere(1));
    let mut lease = dispatcher.take(Duration::ZERO, &first, &0, &table).unwrap();
    waits(&mut dispatcher, &table, Duration::ZERO, "low", of(Priority::Low), 0);
    for second in 1..=40 {
        let now = seconds(second);
        waits(&mut dispatcher, &table, now, "high", of(Priority::High), second);
        waits(&mut dispatcher, &table, now, "high", of(Priority::High), second);
        if next(&mut dispatcher, &table, now, &mut lease) == 0 {
            // Twice the aging, and at most one request more: it has had no slot time.
            assert!((20..=21).contains(&second), "{second}");
            return;
        }
    }
    panic!("the request of low priority starves");
}

#[test]
fn candidate_that_needs_a_load_is_taken_once_the_wait_was_as_long_as_the_load() {
    let (mut dispatcher, _) = dispatcher(&[1, 1], 8);
    let cold = Candidate { upstream: 1, patience: seconds(3) };
    let row = vec![Candidate { upstream: 0, patience: Duration::ZERO }, cold];
    let table = Table { rows: vec![row], down: vec![false; 2] };
    let request = ask("a", Terms::default(), table.rows[0].clone().into());
    let warm = dispatcher.take(Duration::ZERO, &request, &0, &table).unwrap();
    waits(&mut dispatcher, &table, Duration::ZERO, "a", Terms::default(), 1);
    waits(&mut dispatcher, &table, Duration::ZERO, "a", Terms::default(), 2);
    dispatcher.tick(seconds(2), &table);
    assert!(dispatcher.granted().is_empty(), "the load would take longer than the wait so far");
    dispatcher.free(seconds(2), &warm, &table);
    let grants = dispatcher.granted();
    assert_eq!(grants.iter().map(|grant| (grant.grant, grant.lease.upstream)).collect::<Vec<_>>(), [(1, 0)]);
    dispatcher.tick(seconds(3), &table);
    let grants = dispatcher.granted();
    assert_eq!(grants.iter().map(|grant| (grant.grant, grant.lease.upstream)).collect::<Vec<_>>(), [(2, 1)]);
}

#[test]
fn slow_slot_that_has_just_become_free_is_left_to_idle_though_the_request_has_waited_long() {
    let (mut dispatcher, _) = dispatcher(&[1, 1], 8);
    let slow = Candidate { upstream: 1, patience: seconds(3) };
    let fast = Candidate { upstream: 0, patience: Duration::ZERO };
    let table =
        Table { rows: vec![vec![fast, slow], vec![Candidate { upstream: 1, ..fast }]], down: vec![false; 2] };
    let at_fast = ask("a", Terms::default(), [fast].into());
    let _held = dispatcher.take(Duration::ZERO, &at_fast, &0, &table).unwrap();
    let at_slow = ask("a", Terms::default(), table.rows[1].clone().into());
    let held = dispatcher.take(Duration::ZERO, &at_slow, &1, &table).unwrap();
    waits(&mut dispatcher, &table, Duration::ZERO, "a", Terms::default(), 1);
    dispatcher.free(seconds(60), &held, &table);
    dispatcher.tick(seconds(62), &table);
    assert!(dispatcher.granted().is_empty(), "the slot has been free for 2 s");
    // A request that fits takes it, and the patience begins anew.
    let held = dispatcher.take(seconds(62), &at_slow, &1, &table).unwrap();
    dispatcher.free(seconds(64), &held, &table);
    dispatcher.tick(seconds(66), &table);
    assert!(dispatcher.granted().is_empty());
    dispatcher.tick(seconds(67), &table);
    assert_eq!(dispatcher.granted().len(), 1);
}

#[test]
fn wait_for_slots_that_nobody_gives_back_is_expected_to_grow() {
    let (mut dispatcher, table) = dispatcher(&[1], 8);
    let request = ask("a", Terms::default(), everywhere(1));
    let lease = dispatcher.take(Duration::ZERO, &request, &0, &table).unwrap();
    let wait = |dispatcher: &Dispatcher<usize, u64>, now| dispatcher.outlook(now).wait([0].into_iter());
    assert_eq!(wait(&dispatcher, seconds(1)), None, "nothing was measured");
    dispatcher.free(seconds(2), &lease, &table);
    assert_eq!(wait(&dispatcher, seconds(2)), Some(Duration::ZERO));
    let _hangs = dispatcher.take(seconds(10), &request, &0, &table).unwrap();
    assert_eq!(wait(&dispatcher, seconds(11)), Some(seconds(2)), "as long as the slot was held before");
    assert_eq!(wait(&dispatcher, seconds(70)), Some(seconds(60)));
}

#[test]
fn caller_that_keeps_one_upstream_busy_does_not_starve_at_another() {
    let (mut dispatcher, _) = dispatcher(&[8, 1], 1024);
    let only = |upstream| vec![Candidate { upstream, patience: Duration::ZERO }];
    let table = Table { rows: vec![only(0), only(1)], down: vec![false; 2] };
    // It has used much of the first upstream.
    for second in 0..100 {
        let lease =
            dispatcher.take(seconds(second), &ask("busy", Terms::default(), only(0).into()), &0, &table);
        let lease = lease.unwrap();
        dispatcher.free(seconds(second + 1), &lease, &table);
        dispatcher.end(seconds(second + 1), &lease, &table);
    }
    let now = seconds(200);
    let mut lease =
        dispatcher.take(now, &ask("other", Terms::default(), only(1).into()), &1, &table).unwrap();
    for _ in 0..10 {
        assert!(dispatcher.wait(now, ask("other", Terms::default(), only(1).into()), 1, 1).is_some());
    }
    assert!(dispatcher.wait(now, ask("busy", Terms::default(), only(1).into()), 1, 2).is_some());
    let order: Vec<_> =
        (1..4).map(|second| next(&mut dispatcher, &table, now + seconds(second), &mut lease)).collect();
    assert!(order[..2].contains(&2), "{order:?}");
}

#[test]
fn weights_of_zero_count_as_one_and_changed_terms_hold_at_once() {
    let (mut dispatcher, table) = dispatcher(&[4], 8);
    let one = Terms { max_streams: Some(1), weight: 0, ..Terms::default() };
    let lease = dispatcher.take(Duration::ZERO, &ask("a", one, everywhere(1)), &0, &table).unwrap();
    waits(&mut dispatcher, &table, Duration::ZERO, "a", one, 1);
    assert!(dispatcher.granted().is_empty());
    let more = Terms { max_streams: Some(3), ..one };
    assert!(dispatcher.take(seconds(1), &ask("a", more, everywhere(1)), &0, &table).is_some());
    assert_eq!(dispatcher.granted().len(), 1, "the limit was raised");
    dispatcher.free(seconds(2), &lease, &table);
}

#[test]
fn callers_without_requests_are_forgotten_once_they_are_many() {
    let (mut dispatcher, table) = dispatcher(&[1], 8);
    for number in 0..10_000 {
        let name = format!("caller{number}");
        let now = seconds(number);
        let lease = dispatcher.take(now, &ask(&name, Terms::default(), everywhere(1)), &0, &table).unwrap();
        dispatcher.free(now + seconds(1), &lease, &table);
        dispatcher.end(now + seconds(1), &lease, &table);
    }
    assert!(dispatcher.callers.len() <= 4096, "{}", dispatcher.callers.len());
}

#[test]
fn refresh_without_a_change_keeps_the_virtual_time_of_waiting_callers() {
    let (mut dispatcher, table) = dispatcher(&[3], 128);
    let take = |dispatcher: &mut Dispatcher<usize, u64>, now, caller| {
        let request = ask(caller, Terms::default(), everywhere(1));
        dispatcher.take(now, &request, &0, &table).unwrap()
    };
    // A long stream, by which the next ones are charged.
    let long = take(&mut dispatcher, seconds(0), "long");
    dispatcher.free(seconds(100), &long, &table);
    dispatcher.end(seconds(100), &long, &table);
    let _other = take(&mut dispatcher, seconds(100), "other");
    let busy = take(&mut dispatcher, seconds(100), "busy");
    let short = take(&mut dispatcher, seconds(159), "short");
    waits(&mut dispatcher, &table, seconds(159), "busy", Terms::default(), 1);
    waits(&mut dispatcher, &table, seconds(159), "short", Terms::default(), 2);
    dispatcher.free(seconds(160), &busy, &table);
    assert_eq!(dispatcher.granted().len(), 1, "the clock is at the virtual time of this request");
    // The short stream was charged too much, and gets the excess back.
    dispatcher.set_limit(seconds(160), 0, Some(1), &table);
    dispatcher.free(seconds(161), &short, &table);
    let id = dispatcher.callers.enter("short", Terms::default(), 1);
    let tags = |dispatcher: &Dispatcher<usize, u64>| dispatcher.callers[id].standings[0].tags;
    let before = tags(&dispatcher);
    dispatcher.refresh(seconds(161), &table);
    assert_eq!(tags(&dispatcher), before);
}
