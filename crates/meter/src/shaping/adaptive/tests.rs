//! Tests how an adaptive pace changes, and the rate that it returns.

use super::*;

/// Creates an upstream whose streams make `together(rate)` tokens per second each, and 100 alone.
fn upstream(config: Config, streams: usize, together: fn(f64) -> f64) -> (Arc<Mutex<Reading>>, Adaptive) {
    let reading = Arc::new(Mutex::new(Reading::default()));
    let adaptive = {
        let reading = reading.clone();
        Adaptive::new(config, Arc::new(move || *reading.lock().unwrap()))
    };
    let mut alone = reading.lock().unwrap();
    (alone.seconds[0], alone.stream_seconds[0]) = (10.0, 10.0);
    (alone.free_seconds[0], alone.tokens[0]) = (10.0, 1000.0);
    drop(alone);
    adaptive.rate();
    assert!(streams <= 4);
    run(&reading, streams, together(adaptive.rate()));
    (reading, adaptive)
}

/// Adds a window in which `streams` streams make `tokens` tokens per second each.
fn run(reading: &Mutex<Reading>, streams: usize, tokens: f64) {
    let mut reading = reading.lock().unwrap();
    let band = streams - 1;
    reading.seconds[band] += 30.0;
    reading.stream_seconds[band] += 30.0 * streams as f64;
    reading.free_seconds[band] += 30.0 * streams as f64;
    reading.tokens[band] += 30.0 * streams as f64 * tokens;
}

async fn windows(count: usize, streams: usize, together: fn(f64) -> f64) -> Vec<f64> {
    let (reading, adaptive) = upstream(Config::default(), streams, together);
    let mut rates = Vec::new();
    for _ in 0..count {
        tokio::time::advance(Duration::from_secs(30)).await;
        rates.push(adaptive.rate());
        run(&reading, streams, together(adaptive.rate()));
    }
    rates
}

#[tokio::test(start_paused = true)]
async fn adaptive_pace_that_moves_its_input_settles_within_20_windows() {
    // The contention falls with the pace: at 60, a stream makes 91 % of its speed alone.
    let rates = windows(40, 2, |rate| 100.0 - 0.15 * rate).await;
    let settled = rates[19];
    for rate in &rates[20..] {
        assert!((rate / settled - 1.0).abs() <= 0.1 + 1e-9, "{rates:?}");
    }
    assert!((50.0..70.0).contains(&settled), "{rates:?}");
}

#[tokio::test(start_paused = true)]
async fn adaptive_pace_that_cannot_move_its_input_runs_to_a_bound() {
    assert_eq!(windows(40, 2, |_| 50.0).await.last(), Some(&10.0));
    assert_eq!(windows(40, 2, |_| 99.0).await.last(), Some(&120.0));
}

#[tokio::test(start_paused = true)]
async fn adaptive_pace_with_one_stream_does_not_step() {
    assert_eq!(windows(3, 1, |_| 1.0).await, [120.0; 3]);
}

#[tokio::test(start_paused = true)]
async fn adaptive_pace_steps_once_per_window() {
    let (reading, adaptive) = upstream(Config::default(), 2, |_| 50.0);
    tokio::time::advance(Duration::from_secs(30)).await;
    for _ in 0..10 {
        assert_eq!(adaptive.rate(), 108.0);
        run(&reading, 2, 50.0);
    }
}

#[test]
fn overlap_input_equals_measure_of_tr117() {
    // Two streams of 10 and 8 s that begin together: 18 / (10 × 2).
    let mut window = Reading::default();
    (window.seconds[0], window.stream_seconds[0]) = (2.0, 2.0);
    (window.seconds[1], window.stream_seconds[1]) = (8.0, 16.0);
    assert_eq!(Input::Overlap.value(&window, None), Some(0.9));
}

#[test]
fn concurrency_of_wide_band_is_its_mean_rounded_up() {
    let mut window = Reading::default();
    (window.seconds[4], window.stream_seconds[4]) = (10.0, 65.0);
    assert_eq!(window.most_streams(), 7.0);
}

#[test]
fn true_input_without_baseline_is_none() {
    let mut window = Reading::default();
    (window.seconds[1], window.stream_seconds[1]) = (10.0, 20.0);
    (window.free_seconds[1], window.tokens[1]) = (20.0, 100.0);
    assert_eq!(Input::True.value(&window, None), None);
    assert_eq!(Input::True.value(&window, Some(10.0)), Some(0.5));
    // Streams that are always held show nothing about each other.
    (window.free_seconds[1], window.tokens[1]) = (0.0, 0.0);
    assert_eq!(Input::True.value(&window, Some(10.0)), None);
}

#[tokio::test(start_paused = true)]
async fn baseline_is_not_lowered_by_paced_lone_streams() {
    let (reading, adaptive) = upstream(Config::default(), 2, |_| 50.0);
    // An hour of single streams at a pace of 20 does not count, because they did not run at the model's speed.
    reading.lock().unwrap().seconds[0] += 3600.0;
    reading.lock().unwrap().stream_seconds[0] += 3600.0;
    let mut rates = Vec::new();
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(30)).await;
        rates.push(adaptive.rate().round());
        run(&reading, 2, 50.0);
    }
    assert_eq!(rates, [108.0, 97.0, 87.0], "half of what one makes alone is too slow");
}

#[tokio::test(start_paused = true)]
async fn baseline_follows_lone_streams_of_the_last_hour() {
    // One model makes 100 alone. Then another model makes 50 alone, and 49 while another stream runs.
    let (reading, adaptive) = upstream(Config::default(), 2, |_| 49.0);
    for _ in 0..240 {
        tokio::time::advance(Duration::from_secs(30)).await;
        adaptive.rate();
        run(&reading, 2, 49.0);
        run(&reading, 1, 50.0);
    }
    assert_eq!(adaptive.rate(), 120.0, "98 % of what one makes alone");
}
