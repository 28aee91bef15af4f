//! Shares of slot time among callers that always have requests that wait.

use super::*;

/// A run with callers of these weights, each with so many requests that some always wait.
#[derive(Clone, Debug)]
struct Backlog {
    limits: Vec<usize>,
    weights: Vec<u32>,
    /// Milliseconds that the requests of each caller take, in turn.
    lengths: Vec<Vec<u64>>,
}

fn backlog() -> impl Strategy<Value = Backlog> {
    (1_usize..5, 2_usize..6).prop_flat_map(|(upstreams, callers)| {
        let length = vec(vec(100_u64..5_000, 1..5), callers);
        (vec(1_usize..5, upstreams), vec(1_u32..4, callers), length)
            .prop_map(|(limits, weights, lengths)| Backlog { limits, weights, lengths })
    })
}

/// Slot time that each caller had, in seconds, after so many requests.
fn shares(backlog: &Backlog, requests: usize) -> Vec<f64> {
    let upstreams = backlog.limits.len();
    let all: Vec<_> =
        (0..upstreams).map(|upstream| Candidate { upstream, patience: Duration::ZERO }).collect();
    let table = Table { rows: vec![all.clone()], down: vec![false; upstreams] };
    let limits = backlog.limits.iter().map(|limit| Some(*limit));
    let mut dispatcher: Dispatcher<usize, usize> = Dispatcher::new(settings(usize::MAX), limits);
    let mut shares = vec![0.0; backlog.weights.len()];
    let mut turns = vec![0; backlog.weights.len()];
    let mut running: Vec<(Duration, usize, Lease)> = Vec::new();
    let mut now = Duration::ZERO;
    let mut begin =
        |running: &mut Vec<(Duration, usize, Lease)>, now: Duration, caller: usize, lease: Lease| {
            let lengths: &Vec<u64> = &backlog.lengths[caller];
            let length = Duration::from_millis(lengths[turns[caller] % lengths.len()]);
            turns[caller] += 1;
            running.push((now + length, caller, lease));
        };
    for _ in 0..requests {
        for (caller, weight) in backlog.weights.iter().enumerate() {
            let name = format!("caller{caller}");
            let terms = Terms { weight: *weight, ..Terms::default() };
            let request = ask(&name, terms, all.clone().into());
            match dispatcher.take(now, &request, &0, &table) {
                Some(lease) => begin(&mut running, now, caller, lease),
                None => drop(dispatcher.wait(now, request, 0, caller)),
            }
        }
    }
    for _ in 0..requests {
        let next = (0..running.len()).min_by_key(|at| running[*at].0).expect("somebody runs");
        let (end, caller, lease) = running.swap_remove(next);
        shares[caller] += (end - lease.since).as_secs_f64();
        now = end;
        dispatcher.free(now, &lease, &table);
        dispatcher.end(now, &lease, &table);
        for grant in dispatcher.granted() {
            begin(&mut running, now, grant.grant, grant.lease);
        }
    }
    for (_, caller, lease) in &running {
        shares[*caller] += (now - lease.since).as_secs_f64();
    }
    shares
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn weighted_shares_of_slot_time_differ_by_at_most_one_request_a_slot(backlog in backlog()) {
        let shares = shares(&backlog, 60);
        let slots: usize = backlog.limits.iter().sum();
        let longest = backlog.lengths.iter().flatten().max().copied().unwrap() as f64 / 1e3;
        let weighted: Vec<_> = shares.iter().zip(&backlog.weights).map(|(share, weight)| share / f64::from(*weight)).collect();
        for one in &weighted {
            for other in &weighted {
                prop_assert!(one - other <= slots as f64 * longest + 1e-6, "{weighted:?}, {slots} slots, {longest} s");
            }
        }
    }
}
