//! A long run with mixed load, reloads, an unstable upstream, scrapes and the page. Nothing may grow.
//!
//! `SOAK_SECONDS=3600 cargo test --release --test soak`
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod client;
mod reading;
mod sidecar;
mod trend;
mod upstream;

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use client::{Client, Sent};
use reading::Reading;
use sidecar::Sidecar;
use trend::growth;

const CLIENTS: usize = 16;
/// Longer than any step of the test.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of readings that are compared in pairs.
const READINGS: u32 = 400;

/// The accepted growth from a third of the time to the end, by the slope between.
const BOUNDS: [(&str, f64); 5] = [
    ("resident memory, MiB", 8.0),
    ("descriptors", 16.0),
    ("threads", 3.0),
    ("tasks", 16.0),
    ("label values", 3.0),
];

/// In CI, anything that grows with requests or reloads has grown by thousands.
fn duration() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "a test has no other argument")]
    let seconds = std::env::var("SOAK_SECONDS").map_or(15, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_under_mixed_load_shows_no_growth_and_no_slowdown() {
    let duration = duration();
    let (stays, comes_and_goes) = (upstream::start(), upstream::Coming::new());
    let sidecar = Sidecar::start([stays, comes_and_goes.addr()]).await;
    let sent = Arc::new(Sent::default());
    let (began, end) = (Instant::now(), Instant::now() + duration);

    let mut beside = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client::new(number, sidecar.proxy, sent.clone());
        beside.spawn(client.ask_until(end));
    }
    beside.spawn(comes_and_goes.until(end, duration / 16));
    let (mut readings, every) = (Vec::new(), (duration / READINGS).max(Duration::from_millis(100)));
    while Instant::now() < end {
        readings.push((began.elapsed().as_secs_f64(), Reading::take(sidecar.admin).await));
        sidecar.look_at_the_page().await;
        sidecar.reload(readings.len());
        sleep(every).await;
    }
    while let Some(ended) = timeout(PATIENCE, beside.join_next()).await.expect("a client never ends") {
        ended.unwrap();
    }

    // Each request is counted once, and none is left.
    let all = sent.requests.load(SeqCst);
    let settled = timeout(PATIENCE, async {
        loop {
            let last = Reading::take(sidecar.admin).await;
            if (last.counted, last.in_flight) == (all, 0) {
                return last;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let last = match settled.await {
        Ok(last) => last,
        Err(_) => panic!("{all} were sent: {:?}", Reading::take(sidecar.admin).await),
    };
    assert_eq!(last.panics, 0);
    assert!(last.reloads_fine, "a reload failed");
    sidecar.ends().await;

    let later = &readings[readings.len() / 3..];
    let mut grown = Vec::new();
    for (place, (name, most)) in BOUNDS.into_iter().enumerate() {
        let points: Vec<_> = later.iter().map(|(at, reading)| (*at, reading.values()[place])).collect();
        let growth = growth(&points);
        let middle = trend::median(points.iter().map(|point| point.1).collect());
        println!("{name}: {middle:.1}, {growth:+.2} over {:.0} s", later[later.len() - 1].0 - later[0].0);
        if growth > most {
            grown.push(format!("{name} grew by {growth:.2}, and may by {most}"));
        }
    }
    let slower = sent.latencies.slower(duration.as_secs_f64());
    println!("{all} requests in {:.0} s; {slower}", duration.as_secs_f64());
    assert!(all > 100, "{all} requests");
    assert!(sent.whole.load(SeqCst) > 50, "{} whole streams", sent.whole.load(SeqCst));
    let new: Vec<_> = last.label_values.difference(&later[0].1.label_values).collect();
    assert!(grown.is_empty(), "{grown:#?}; new label values: {new:?}");
    // In a few seconds, another test's compiler is most of the load.
    let noise = Duration::from_millis(if duration < Duration::from_secs(60) { 300 } else { 100 });
    assert!(slower.is_steady(noise), "{slower}");
}
