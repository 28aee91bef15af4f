//! Planted open-loop loads and the verdicts on them.

use super::{
    rate::{over_runs, wider},
    request::Objective,
    *,
};
use crate::analysis::{Agent, Chunk, Load, Run, Slo, analyse, statistic::Interval};

/// A response of a planted run.
#[derive(Clone, Copy)]
struct Planted {
    late: f64,
    first: f64,
    gap: f64,
    duration: f64,
    failure: Option<&'static str>,
}

const GOOD: Planted = Planted { late: 0.001, first: 0.2, gap: 0.05, duration: 0.35, failure: None };

fn load(rate: f64, slo: Slo) -> Load {
    let condition = format!("load-{rate}");
    Load { condition, series: Some("load".into()), rate, seconds: 10.0, lateness: 0.05, slo, recording: 0 }
}

const SLO: Slo = Slo { ttft: Some(1.0), gap: None, stall: None, total: Some(2.0), share: 0.9 };

fn add(recording: &mut Recording, load: &Load, repetition: u32, planted: &[Planted]) {
    let id = recording.runs.len() as u32;
    let (condition, repetition) = (load.condition.clone(), Some(repetition));
    recording.runs.push(Run { id, condition, kind: RunKind::Open, repetition, ..Run::default() });
    for (request, agent) in planted.iter().zip(0_u32..) {
        let scheduled = f64::from(agent);
        recording.agents.push(Agent {
            run: id,
            agent,
            scheduled: Some(scheduled),
            started: scheduled + request.late,
            duration: request.duration,
            first_token: Some(request.first).filter(|_| request.failure.is_none()),
            failure: request.failure.map(Into::into),
            ..Agent::default()
        });
        for (place, gap) in (0..).zip([f64::NAN, request.gap, 3.0 * request.gap]) {
            let at = scheduled + f64::from(place);
            let (bytes, records, parse) = (10, 1, f64::NAN);
            recording.chunks.push(Chunk { run: id, agent, at, bytes, records, gap, parse, streams: 0 });
        }
    }
}

fn of(rates: &[(f64, Vec<Planted>)]) -> (Vec<Sweep>, Vec<String>) {
    let mut recording = Recording::default();
    for (rate, planted) in rates {
        let load = load(*rate, SLO);
        (0..4).for_each(|repetition| add(&mut recording, &load, repetition, planted));
        recording.loads.push(load);
    }
    let analysis = analyse(&recording, &Settings::default());
    assert!(analysis.runs.is_empty(), "requests of a load are no agents that run together");
    (analysis.open, analysis.notes)
}

fn mixed(good: usize, bad: Planted, count: usize) -> Vec<Planted> {
    (0..count).map(|place| if place < good { GOOD } else { bad }).collect()
}

#[test]
fn latency_counts_from_scheduled_time_and_not_from_sending() {
    let held_up = Planted { late: 4.0, ..GOOD };
    let (sweeps, notes) = of(&[(1.0, vec![held_up; 10])]);
    // The generator was too late, so the run is invalid.
    assert_eq!((sweeps[0].rates[0].holds, sweeps[0].rates[0].invalid), (None, 4));
    assert!(notes[0].contains("4 of 4 runs of load-1 are invalid"), "{notes:?}");
    let mut recording = Recording::default();
    let patient = Load { lateness: 10.0, ..load(1.0, SLO) };
    add(&mut recording, &patient, 0, &[held_up; 10]);
    recording.loads.push(patient);
    let open = &analyse(&recording, &Settings::default()).open;
    let (ttft, total) = (open[0].rates[0].ttft.unwrap(), open[0].rates[0].total.unwrap());
    assert!((ttft.p50.unwrap() - 4.2).abs() < 1e-9 && (total.max.unwrap() - 4.35).abs() < 1e-9);
    assert_eq!(open[0].rates[0].holds, Some(false));
}

#[test]
fn sweep_names_the_limit_the_knee_and_what_fails_first() {
    let slow = Planted { first: 1.5, duration: 1.6, ..GOOD };
    let (sweeps, _) =
        of(&[(4.0, mixed(10, slow, 40)), (1.0, mixed(10, slow, 10)), (2.0, mixed(19, slow, 20))]);
    let [sweep] = &sweeps[..] else { panic!("{sweeps:?}") };
    assert_eq!((sweep.holds, sweep.misses, sweep.knee), (Some(2.0), Some(4.0), Some(2.0)));
    assert_eq!(sweep.first, Some(Objective::Ttft));
    assert_eq!(
        sweep.sentence(),
        "load holds the SLO (TTFT ≤ 1 s, total ≤ 2 s for 90 % of requests) up to 2 requests/s (95.0 % of the 80 \
         requests met it in 4 runs, 95 % interval 87.7 to 98.6 %), and misses it at 4 (25.0 % of the 160 requests met it \
         in 4 runs, 95 % interval 18.5 to 32.4 %); the knee is at 2 requests/s, with the highest goodput, 1.90 per second \
         (certain: the 95 % interval of no other rate reaches it); what fails first is TTFT, of 75.0 % of the requests."
    );
}

#[test]
fn brief_sweep_keeps_the_limit_the_knee_the_goodput_and_the_failures() {
    let broken = Planted { failure: Some("503"), ..GOOD };
    let slow = Planted { first: 1.5, duration: 1.6, ..GOOD };
    let (sweeps, _) =
        of(&[(4.0, mixed(10, slow, 40)), (1.0, mixed(10, slow, 10)), (2.0, mixed(19, broken, 20))]);
    assert_eq!(
        sweeps[0].brief(),
        [
            "load holds the SLO (TTFT ≤ 1 s, total ≤ 2 s for 90 % of requests) up to 2 requests/s (95.0 % met it, 87.7 to \
             98.6 %) and misses it at 4 (25.0 % met it, 18.5 to 32.4 %), mostly in TTFT. The knee is at 2 requests/s (certain): \
             goodput 1.90/s (1.75 to 1.97), 5.0 % failed.",
            "load holds the SLO (TTFT ≤ 1 s, total ≤ 2 s for 90 % of requests) up to 2 requests/s (95.0 % met it) and misses \
             it at 4 (25.0 % met it), mostly in TTFT. The knee is at 2 requests/s (certain): goodput 1.90/s (1.75 to 1.97), \
             5.0 % failed.",
            "load holds the SLO (TTFT ≤ 1 s, total ≤ 2 s for 90 % of requests) up to 2 requests/s (95.0 % met it) and misses \
             it at 4 (25.0 % met it), mostly in TTFT. The knee is at 2 requests/s (certain): goodput 1.90/s, 5.0 % failed.",
            "load holds the SLO up to 2 requests/s (95.0 % met it) and misses it at 4 (25.0 % met it), mostly in TTFT. The knee \
             is at 2 requests/s (certain): goodput 1.90/s (1.75 to 1.97), 5.0 % failed.",
            "load holds the SLO up to 2 requests/s and misses it at 4, mostly in TTFT. The knee is at 2 requests/s (certain): \
             goodput 1.90/s, 5.0 % failed.",
        ]
    );
}

#[test]
fn sweep_that_never_misses_asks_for_a_higher_rate() {
    let (sweeps, _) = of(&[(1.0, vec![GOOD; 10]), (2.0, vec![GOOD; 20])]);
    assert_eq!((sweeps[0].holds, sweeps[0].misses, sweeps[0].knee), (Some(2.0), None, None));
    assert!(sweeps[0].sentence().contains("a higher rate would show the limit"), "{}", sweeps[0].sentence());
}

#[test]
fn sweep_without_a_knee_says_why() {
    let slow = Planted { first: 1.5, duration: 1.6, ..GOOD };
    let said = |rates: &[(f64, Vec<Planted>)]| of(rates).0[0].sentence();
    let none = said(&[(1.0, vec![slow; 10]), (2.0, vec![slow; 20])]);
    assert!(
        none.contains(
            "(0.0 % of the 40 requests met it in 4 runs, 95 % interval 0.0 to 8.8 %); no request met the SLO;"
        ),
        "{none}"
    );
    let one = said(&[(1.0, mixed(5, slow, 10))]);
    assert!(one.contains("; one rate shows no knee;"), "{one}");
    let rising = said(&[(1.0, mixed(8, slow, 10)), (2.0, mixed(10, slow, 20))]);
    assert!(rising.contains("; the goodput was highest at the highest rate;"), "{rising}");
}

#[test]
fn load_of_too_few_requests_says_how_many_more_would_decide() {
    let notes =
        |good: usize, count: usize| of(&[(1.0, mixed(good, Planted { first: 1.5, ..GOOD }, count))]).1;
    let [few] = &notes(5, 5)[..] else { panic!("{:?}", notes(5, 5)) };
    assert_eq!(
        few,
        "whether load-1 holds the SLO is undecided: 100.0 % of the 20 requests met it in 4 runs, 95 % interval 83.2 to \
         100.0 %, where 90 % are needed. 16 more requests that all meet it would decide that it does"
    );
    let [near] = &notes(92, 100)[..] else { panic!("{:?}", notes(92, 100)) };
    assert!(
        near.starts_with("whether load-1 holds the SLO is undecided: 92.0 % of the 400 requests met it")
            && near.ends_with("46 more requests that all meet it would decide that it does"),
        "{near}"
    );
    // Enough that meet it, and enough that do not, even if they are few.
    assert_eq!((notes(10, 10), notes(0, 5)), (Vec::<String>::new(), Vec::new()));
    let rate = &of(&[(1.0, vec![GOOD; 10])]).0[0].rates[0];
    assert!(rate.certain && rate.share.unwrap().successes == 40, "{rate:?}");
}

#[test]
fn knee_between_rates_with_like_goodput_is_not_certain() {
    let slow = Planted { first: 1.5, duration: 1.6, ..GOOD };
    let (sweeps, _) = of(&[
        (1.0, mixed(5, slow, 10)),
        (2.0, mixed(17, slow, 20)),
        (3.0, mixed(18, slow, 30)),
        (4.0, mixed(17, slow, 40)),
        (5.0, mixed(4, slow, 50)),
    ]);
    assert_eq!((sweeps[0].knee, sweeps[0].knee_range.as_slice()), (Some(3.0), &[2.0, 3.0, 4.0][..]));
    let told = sweeps[0].sentence();
    assert!(told.contains("1.80 per second (not certain: it may be from 2 to 4 requests/s);"), "{told}");
    let short = of(&[(1.0, mixed(9, slow, 10)), (2.0, mixed(8, slow, 20))]).0[0].sentence();
    assert!(short.contains("(not certain: it may be from 1 to 2 requests/s, or beyond)"), "{short}");
}

#[test]
fn interval_of_goodput_is_the_wider_one_of_requests_and_of_runs() {
    let exact = Interval { low: 0.8, high: 0.9, level: 0.95 };
    let runs = Interval { low: 0.85, high: 0.95, level: 0.95 };
    assert_eq!(wider(Some(exact), Some(runs)), Some(Interval { high: 0.95, ..exact }));
    assert_eq!((wider(Some(exact), None), wider(None, None)), (Some(exact), None));
    // One run has an interval, too: 18 of 20 requests in 10 s.
    let mut recording = Recording::default();
    let load = load(2.0, SLO);
    add(&mut recording, &load, 0, &mixed(18, Planted { first: 1.5, ..GOOD }, 20));
    recording.loads.push(load);
    let goodput = analyse(&recording, &Settings::default()).open[0].rates[0].goodput.unwrap();
    let interval = goodput.interval.unwrap();
    // scipy.stats.beta.ppf([.025, .975], [18, 19], [3, 2]) requests of two per second.
    assert!((interval.low - 2.0 * 0.683_017_286).abs() < 1e-9, "{interval:?}");
    assert!((interval.high - 2.0 * 0.987_651_473).abs() < 1e-9, "{interval:?}");
}

#[test]
fn failed_request_counts_as_one_that_takes_for_ever() {
    let refused = Planted { failure: Some("not sent: 8 requests were outstanding"), duration: 0.0, ..GOOD };
    let (sweeps, _) = of(&[(1.0, mixed(7, refused, 10))]);
    let rate = &sweeps[0].rates[0];
    assert_eq!((rate.requests, rate.failed, rate.not_sent), (40, 12, 12));
    let total = rate.total.unwrap();
    assert!((total.p50.unwrap() - 0.351).abs() < 1e-9);
    assert_eq!((total.p90, total.p99), (None, None));
    assert_eq!(sweeps[0].first, Some(Objective::Answer));
    assert!((rate.missed[&Objective::Answer] - 0.3).abs() < 1e-9);
}

#[test]
fn gap_objective_is_the_mean_of_a_response_and_stall_the_largest() {
    let slo = Slo { gap: Some(0.11), stall: Some(0.14), share: 1.0, ..Slo::default() };
    let load = load(1.0, slo);
    let mut recording = Recording::default();
    // Gaps of 50 and 150 ms: their mean is 100 ms.
    add(&mut recording, &load, 0, &[GOOD; 10]);
    recording.loads.push(load);
    let open = &analyse(&recording, &Settings::default()).open;
    let rate = &open[0].rates[0];
    assert!((rate.gap.unwrap().p50.unwrap() - 0.1).abs() < 1e-9);
    assert_eq!(rate.missed.keys().collect::<Vec<_>>(), [&Objective::Stall]);
}

#[test]
fn share_over_runs_has_the_interval_of_scipy() {
    // scipy.stats.t.interval(.95, 4, loc=mean, scale=sem) of these shares, cut at 1.
    let met = over_runs(&[0.99, 0.98, 1.0, 0.95, 0.97], 0.95, 1.0).unwrap();
    let interval = met.interval.unwrap();
    assert!((met.value - 0.978).abs() < 1e-12);
    assert!((interval.low - 0.954_116_116_119).abs() < 1e-9 && interval.high == 1.0, "{interval:?}");
    assert!(over_runs(&[0.9, 0.8, 1.0], 0.95, 1.0).unwrap().interval.is_none(), "3 runs are too few");
    assert!(over_runs(&[1.0; 5], 0.95, 1.0).unwrap().interval.is_none(), "equal runs tell nothing");
}

#[test]
fn mean_gap_of_a_response_with_a_chunk_for_each_token_is_its_time_per_output_token() {
    let mut gaps = Gaps::default();
    // Four tokens, and the chunk that ends the response.
    [0.1, 0.1, 0.1, 0.0].into_iter().for_each(|gap| gaps.add(gap));
    let of = |tokens| Request::of(&Agent { tokens, ..Agent::default() }, Some(&gaps)).gap.unwrap();
    assert!((of(Some(4)) - 0.1).abs() < 1e-12, "{}", of(Some(4)));
    // A chunk has several tokens, or nobody counted them.
    assert!((of(Some(40)) - 0.075).abs() < 1e-12 && (of(None) - 0.075).abs() < 1e-12);
    assert!((of(Some(1)) - 0.3).abs() < 1e-12);
}
