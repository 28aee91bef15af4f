//! The figures of a stream whose client did not read for a while.

use super::*;

const GAP: Duration = Duration::from_millis(20);
const HOLD: Duration = Duration::from_millis(60);

fn value(bench: &Bench, series: &str) -> f64 {
    bench.value(&series.replace("{", "{model=\"m:latest\",")).unwrap()
}

/// Waits for the next chunk, which comes after a gap.
fn await_chunk(body: &mut Pin<Box<Delivered<Tap<Script>>>>) {
    assert!(poll(body).is_pending());
    thread::sleep(GAP);
    assert!(poll(body).is_ready());
}

/// Does not poll while chunks arrive, then takes all of them.
fn hold(body: &mut Pin<Box<Delivered<Tap<Script>>>>, chunks: usize) {
    thread::sleep(HOLD);
    for _ in 0..chunks {
        assert!(poll(body).is_ready());
    }
}

/// Sends a first content record, one after a gap, `chunks` during a hold, and then `rest`.
fn held(bench: &Bench, chunk: &'static str, chunks: usize, rest: &[&'static str]) -> impl Sized + use<> {
    let steps = [Data(FIRST), Wait, Data(SECOND)];
    let held = (0..chunks).map(|_| Data(chunk));
    let mut body =
        bench.stream(steps.into_iter().chain(held).chain(rest.iter().flat_map(|text| [Wait, Data(text)])));
    assert!(poll(&mut body).is_ready());
    await_chunk(&mut body);
    hold(&mut body, chunks);
    for _ in rest {
        await_chunk(&mut body);
    }
    drain(&mut body);
    body
}

#[test]
fn held_stream_that_catches_up_counts_all_tokens_over_all_its_time() {
    let bench = bench();
    drop(held(&bench, SECOND, 10, &[SECOND, LAST]));
    bench.ended(Outcome::Complete);
    // 13 content records: 12 of them came in the two gaps and the hold.
    let least = (2 * GAP + HOLD).as_secs_f64();
    let rate = value(&bench, "output_tokens_per_second_sum{by=\"stream\"}");
    assert!(rate > 0.0 && rate <= 12.0 / least, "{rate}");
    let decode = value(&bench, "phase_seconds_sum{phase=\"decode\"}");
    assert!(decode >= least + GAP.as_secs_f64(), "{decode}");
    let unaccounted = value(&bench, "phase_seconds_sum{phase=\"unaccounted\"}");
    assert!((unaccounted - (decode - 0.04)).abs() < 1e-9, "{unaccounted} of {decode}");
}

#[test]
fn stream_that_ends_in_backlog_is_measured_by_the_part_before_it() {
    let bench = bench();
    let body = held(&bench, SECOND, 10, &[]);
    drop(body);
    // Only one gap has a known end.
    let rate = value(&bench, "output_tokens_per_second_sum{by=\"stream\"}");
    assert!(rate > 0.0 && rate <= 1.0 / GAP.as_secs_f64(), "{rate}");
    assert_eq!(value(&bench, "output_tokens_per_second_count{by=\"stream\"}"), 1.0);

    let bench = self::bench();
    let steps = [Data(FIRST), Wait, Data(SECOND), Data(SECOND), Data(LAST)];
    let mut body = bench.stream(steps);
    assert!(poll(&mut body).is_ready());
    await_chunk(&mut body);
    hold(&mut body, 2);
    drop(body);
    bench.ended(Outcome::Complete);
    for (phase, count) in [("eval", 1.0), ("queue", 1.0), ("decode", 0.0), ("unaccounted", 0.0)] {
        assert_eq!(value(&bench, &format!("phase_seconds_count{{phase=\"{phase}\"}}")), count, "{phase}");
    }
}

#[test]
fn stream_with_possibly_stalled_ollama_is_measured_by_the_part_before() {
    let bench = bench();
    let long = format!("{{\"response\":\"{}\",\"done\":false}}\n", "a".repeat(10 << 10));
    drop(held(&bench, long.leak(), 10, &[SECOND, LAST]));
    bench.ended(Outcome::Complete);
    let rate = value(&bench, "output_tokens_per_second_sum{by=\"stream\"}");
    assert!(rate > 0.0 && rate <= 1.0 / GAP.as_secs_f64(), "{rate}");
    assert_eq!(value(&bench, "phase_seconds_count{phase=\"decode\"}"), 0.0);
    assert_eq!(value(&bench, "phase_seconds_count{phase=\"unaccounted\"}"), 0.0);
}

#[test]
fn gaps_in_backlog_are_left_out_and_counted() {
    let bench = bench();
    let body = held(&bench, SECOND, 10, &[SECOND, SECOND]);
    // The gap before the hold, and the gap between the two chunks after it for which the tap waited.
    assert_eq!(value(&bench, "chunk_gap_seconds_count{at=\"upstream\"}"), 2.0);
    assert!(value(&bench, "chunk_gap_seconds_sum{at=\"upstream\"}") >= (2 * GAP).as_secs_f64());
    assert_eq!(bench.value("gaps_held_total{model=\"m:latest\"}"), Some(11.0));
    drop(body);
}

#[test]
fn time_in_which_client_does_not_read_is_backpressure() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Data(SECOND), Wait]);
    assert!(poll(&mut body).is_ready());
    assert_eq!(bench.meter.live()[0].backpressure, Duration::ZERO);
    hold(&mut body, 1);
    assert!(bench.meter.live()[0].backpressure >= HOLD);
    drop(body);
    let backpressure = bench.value("client_backpressure_seconds_total{model=\"m:latest\"}").unwrap();
    assert!(backpressure >= HOLD.as_secs_f64(), "{backpressure}");
    assert_eq!(value(&bench, "chunk_gap_seconds_count{at=\"client\"}"), 0.0);
}

#[test]
fn time_in_which_client_does_not_read_counts_for_its_caller_too() {
    let bench = bench();
    let counter = Arc::new(crate::metric::counter());
    let measurement = bench.answered("/api/generate", 200);
    measurement.client_wait_counted_by(counter.clone());
    let script = script([Data(FIRST), Data(SECOND), Wait]);
    let mut body = Box::pin(measurement.wrap_body(NDJSON, script));
    assert!(poll(&mut body).is_ready());
    hold(&mut body, 1);
    drop(body);
    let all = bench.value("client_backpressure_seconds_total{model=\"m:latest\"}").unwrap();
    assert!(counter.get() >= HOLD.as_secs_f64() && counter.get() == all, "{} of {all}", counter.get());
}

#[test]
fn client_that_never_reads_again_is_shown_while_it_holds_and_counted_when_it_leaves() {
    let bench = bench();
    let mut body = bench.stream([Data(FIRST), Data(SECOND), Wait]);
    assert!(poll(&mut body).is_ready());
    thread::sleep(HOLD);
    let held = &bench.meter.live()[0];
    assert!(held.backpressure >= HOLD, "{:?}", held.backpressure);
    assert_eq!(held.silent, None, "the upstream is not silent");
    drop(body);
    let backpressure = bench.value("client_backpressure_seconds_total{model=\"m:latest\"}").unwrap();
    assert!(backpressure >= HOLD.as_secs_f64(), "{backpressure}");
}

#[test]
fn client_that_does_not_read_is_counted_at_each_scrape_and_once() {
    let bench = bench();
    let began = std::time::Instant::now();
    let mut body = bench.stream([Data(FIRST), Data(SECOND), Wait]);
    let counted = || bench.value("client_backpressure_seconds_total{model=\"m:latest\"}").unwrap();
    assert!(poll(&mut body).is_ready());
    for holds in 1..3 {
        thread::sleep(HOLD);
        // The metrics of one scrape are read in any order.
        counted();
        let counted = counted();
        assert!(counted >= (holds * HOLD).as_secs_f64(), "{counted} after {holds} scrapes");
    }
    assert!(poll(&mut body).is_ready());
    let whole = counted();
    assert!(whole <= began.elapsed().as_secs_f64(), "{whole}");
    assert!(whole <= bench.meter.live()[0].backpressure.as_secs_f64() + 1e-9, "{whole}");
    drop(body);
}

#[test]
fn unheld_time_leaves_out_held_time_and_its_tokens() {
    let bench = bench();
    let body = held(&bench, SECOND, 10, &[SECOND, SECOND]);
    drop(body);
    let bands = bench.meter.bands("u");
    assert_eq!(bands.free_tokens[0], 2.0);
    assert!(bands.free_seconds[0] >= (2 * GAP).as_secs_f64(), "{bands:?}");
    assert_eq!(bands.tokens[0], 14.0, "all that came: {bands:?}");
    assert_eq!((bands.free_tokens[1], bands.free_seconds[1]), (0.0, 0.0));
}
