//! Changes of Ollama's clock.

use super::*;

const SUM: &str = "chunk_gap_seconds_sum{at=\"origin\",model=\"m:latest\"}";
const COUNT: &str = "chunk_gap_seconds_count{at=\"origin\",model=\"m:latest\"}";
const INVALID: &str = "origin_gaps_invalid_total{upstream=\"u\"}";

/// Returns a content record with this timestamp.
fn at(time: &str) -> &'static str {
    format!("{{\"created_at\":\"2025-01-01T{time}Z\",\"response\":\"a\",\"done\":false}}\n").leak()
}

#[test]
fn origin_clock_that_steps_back_lowers_no_sum_and_is_counted() {
    let bench = bench();
    assert_eq!(bench.value(INVALID), Some(0.0), "it is there before anything happens");
    let times = ["10:00:00.000", "10:00:00.050", "00:00:10.050", "00:00:10.100", "00:00:10.099"];
    let mut sums = Vec::new();
    for upto in 1..=times.len() {
        let mut body = bench.stream(times[..upto].iter().map(|time| Data(at(time))));
        drain(&mut body);
        drop(body);
        sums.push(bench.value(SUM).unwrap());
    }
    assert!(sums.is_sorted(), "{sums:?}");
    // In each stream its gaps of 50 ms, and neither step back: 1 + 1 + 2 + 2 gaps, 1 + 1 + 2 steps.
    assert!((sums.last().unwrap() - 0.3).abs() < 1e-9, "{sums:?}");
    assert_eq!((bench.value(COUNT), bench.value(INVALID)), (Some(6.0), Some(4.0)));
}

#[test]
fn origin_clock_ahead_of_request_adds_nothing() {
    let bench = bench();
    let mut body = bench.stream(["10:00:00.000", "20:00:00.000", "20:00:00.050"].map(|time| Data(at(time))));
    drain(&mut body);
    drop(body);
    assert!((bench.value(SUM).unwrap() - 0.05).abs() < 1e-9);
    assert_eq!((bench.value(COUNT), bench.value(INVALID)), (Some(1.0), Some(1.0)));
}
