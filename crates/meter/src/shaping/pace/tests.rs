//! Tests the rate of a paced stream, and the bytes that it holds.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

use super::super::{
    Config, adaptive,
    script::{CHAT, Script, Word, contended, content, hear, next, shaping, shows, terminal},
};

fn paced(pace: u32) -> Config {
    Config { pace, ..Config::default() }
}

/// Returns the content records that are delivered in the first `seconds` from a model that has all of them at once.
async fn records_in(seconds: u64, pace: u32) -> usize {
    let (shaping, _registry) = shaping(paced(pace));
    let records = usize::try_from(2 * seconds * u64::from(pace)).unwrap();
    let mut body = Box::pin(shaping.wrap(&CHAT, Script::at_once((0..records).map(|_| content("a")))));
    let mut count = 0;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while let Ok(Some(Ok(_))) = timeout_at(deadline, next(&mut body)).await {
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn pace_of_60_delivers_60_per_second() {
    let count = records_in(10, 60).await;
    assert!((594..=606).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn pace_of_any_value_is_exact() {
    for pace in [1, 7, 33, 100, 250, 900] {
        let (count, wanted) = (records_in(20, pace).await as f64, 20.0 * f64::from(pace));
        assert!((count - wanted).abs() <= 1.0 + 0.01 * wanted, "{pace}: {count}");
    }
}

/// Returns the time for which the system did not run this thread, beyond the one wake-up that is compensated.
async fn lost_time(period: Duration) -> Duration {
    let start = Instant::now();
    let mut lost = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(10) {
        let due = Instant::now() + Duration::from_millis(2);
        tokio::time::sleep_until(due).await;
        lost += due.elapsed().saturating_sub(period);
    }
    lost
}

#[tokio::test]
async fn pace_in_real_time_is_within_two_percent_of_available_time() {
    let period = Duration::from_secs(1) / 60;
    let (count, lost) = tokio::join!(records_in(10, 60), lost_time(period));
    let most = 612.0;
    let least = 0.98 * (10.0 - lost.as_secs_f64()) * 60.0;
    assert!((least..=most).contains(&(count as f64)), "{count}, with {lost:?} lost");
}

/// The token bucket of TR117, §2.4. It reads its clock before it sleeps, so the time of the sleep counts twice and
/// the next record passes at once.
#[test]
fn pace_is_exact_where_tr117_bucket_runs_at_twice_its_rate() {
    let rate = 60.0;
    let (mut now, mut tokens, mut last, mut passed) = (0.0_f64, 0.0_f64, 0.0_f64, 0);
    while now < 10.0 {
        tokens += (now - last) * rate;
        last = now;
        if tokens < 1.0 {
            now += (1.0 - tokens) / rate;
            tokens = 0.0;
        } else {
            tokens -= 1.0;
        }
        passed += 1;
    }
    assert!(passed > 1190, "{passed}");

    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let ours = runtime.block_on(records_in(10, 60));
    assert!(ours <= 606, "{ours}");
}

#[tokio::test(start_paused = true)]
async fn pace_delays_each_record_except_the_first_content() {
    let (shaping, _registry) = shaping(paced(10));
    let mut chunks = vec![[content("a"), content("b")].concat(), terminal()];
    chunks.insert(0, b"{\"status\":\"x\"}\n".to_vec());
    let words = chunks.into_iter().map(|chunk| (Duration::ZERO, Word::Data(chunk.into())));
    let words = [(Duration::from_secs(3), Word::Data(b"\n".to_vec().into()))].into_iter().chain(words);
    let heard = hear(shaping.wrap(&CHAT, Script::new(words))).await;
    let at: Vec<_> = heard.frames.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(at.len(), 5, "{heard:?}");
    assert_eq!(&at[..3], &[3000, 3000, 3000], "{heard:?}");
    assert!((3100..=3101).contains(&at[3]), "{heard:?}");
    assert_eq!(at[3], at[4], "the last record carries no content: {heard:?}");
}

#[tokio::test(start_paused = true)]
async fn pace_after_clock_jump_lets_one_more_record_through() {
    let (shaping, _registry) = shaping(paced(10));
    let mut body = Box::pin(shaping.wrap(&CHAT, Script::at_once((0..100).map(|_| content("a")))));
    next(&mut body).await.unwrap().unwrap();
    // The machine slept for a day.
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let woke = Instant::now();
    let mut at_once = 0;
    while timeout(Duration::from_millis(50), next(&mut body)).await.is_ok() {
        at_once += 1;
    }
    assert!(at_once <= 2 && woke.elapsed() < Duration::from_millis(60), "{at_once}");
}

#[tokio::test(start_paused = true)]
async fn pace_does_not_delay_slower_model() {
    let (shaping, registry) = shaping(paced(60));
    let period = Duration::from_millis(40);
    let heard = hear(shaping.wrap(&CHAT, Script::every(period, (0..50).map(|_| content("a"))))).await;
    for (number, (at, _)) in (1_u32..).zip(&heard.frames) {
        assert_eq!(*at, period * number);
    }
    assert!(shows(&registry, "shaping_delay_seconds_total{kind=\"pace\"} 0"));
    assert!(shows(&registry, "shaping_records_out_total 50"));
}

#[tokio::test(start_paused = true)]
async fn pace_buffer_when_full_stops_reading_upstream() {
    let limit = 4 << 10;
    let (shaping, registry) = shaping(Config { pace_buffer: limit, ..paced(10) });
    let script = Script::at_once((0..10_000).map(|_| content("a")));
    let taken = script.taken();
    let mut body = Box::pin(shaping.wrap(&CHAT, script));
    let mut given = 0;
    for _ in 0..5 {
        let frame = next(&mut body).await.unwrap().unwrap();
        given += frame.into_data().unwrap().len();
        assert!(taken.load(Relaxed) - given <= limit);
    }
    assert!(taken.load(Relaxed) > given, "it looks ahead");
    let held = taken.load(Relaxed) - given;
    assert!(shows(&registry, &format!("shaping_buffer_bytes {held}")));
    drop(body);
    assert!(shows(&registry, "shaping_buffer_bytes 0"));
    assert_eq!(std::sync::Arc::strong_count(&taken), 1, "the body inside is gone");
}

#[tokio::test(start_paused = true)]
async fn pace_holds_half_a_record_until_its_rest_or_the_end() {
    let (shaping, _registry) = shaping(paced(60));
    let whole = content("a");
    let (one, other) = whole.split_at(20);
    let second = Duration::from_secs(1);
    let words = [(second, one), (second, other), (second, one)];
    let words = words.map(|(pause, chunk)| (pause, Word::Data(chunk.to_vec().into())));
    let heard = hear(shaping.wrap(&CHAT, Script::new(words))).await;
    let expected: [(u64, &[u8]); 3] = [(2, one), (2, other), (3, one)];
    for ((at, frame), (seconds, text)) in heard.frames.iter().zip(expected) {
        assert_eq!((at.as_secs(), frame.as_slice()), (seconds, text));
    }
    assert_eq!(heard.frames.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pace_passes_record_larger_than_buffer() {
    let (shaping, _registry) = shaping(Config { pace_buffer: 1 << 10, ..paced(1) });
    let long = content(&"a".repeat(100_000));
    let script = Script::at_once(long.chunks(600).map(<[u8]>::to_vec));
    let heard = timeout(Duration::from_secs(5), hear(shaping.wrap(&CHAT, script))).await.unwrap();
    assert_eq!(heard.bytes(), long);
}

#[tokio::test(start_paused = true)]
async fn pace_delivers_error_after_earlier_records() {
    let (shaping, _registry) = shaping(paced(10));
    let mut words: Vec<_> = (0..5).map(|_| (Duration::ZERO, Word::Data(content("a").into()))).collect();
    words.push((Duration::ZERO, Word::Error));
    let heard = hear(shaping.wrap(&CHAT, Script::new(words))).await;
    assert_eq!(heard.frames.len(), 5);
    assert!(heard.error);
}

#[tokio::test(start_paused = true)]
async fn pace_of_caller_overrides_settings() {
    let (shaping, registry) = shaping(paced(10));
    let stream = super::super::Stream { pace: Some(100), ..CHAT };
    let heard = hear(shaping.wrap(&stream, Script::at_once((0..101).map(|_| content("a"))))).await;
    assert_eq!(heard.frames.last().unwrap().0.as_millis() / 10, 100);
    assert!(shows(&registry, "pace_tokens_per_second{caller=\"alice\"} 100"));
}

#[tokio::test(start_paused = true)]
async fn pace_change_applies_from_the_next_record() {
    let adaptive = adaptive::Config { window: Duration::from_secs(1), floor: 1.0, ..Default::default() };
    let (shaping, _registry) = shaping(Config { adaptive: Some(adaptive), ..Config::default() });
    shaping.adapt(CHAT.upstream, contended());
    let heard = hear(shaping.wrap(&CHAT, Script::at_once((0..600).map(|_| content("a"))))).await;
    let within = |from: u64| {
        let second = |at: &Duration| (from..from + 1).contains(&at.as_secs());
        heard.frames.iter().filter(|(at, _)| second(at)).count() as f64
    };
    for second in 0..6 {
        let wanted = 120.0 * 0.9_f64.powi(i32::try_from(second).unwrap());
        assert!((within(second) - wanted).abs() <= 2.0, "{second}: {} of {wanted}", within(second));
    }
}
