//! `max_streams = "auto"` before simulated Ollamas.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use streamgauge_simulate as simulate;
use tokio::{task::JoinSet, time::Instant};

use super::{
    super::harness::*,
    several::{Simulated, ask, in_turn, quick, up},
};

const LIMIT: &str = "stream_limit{upstream=\"gpu0\"}";
const LOST: &str = "stream_limit_probe_seconds_total{upstream=\"gpu0\"}";
/// The model of the controller shows less than a twentieth. A busy machine delays streams, too.
const FEW_WAIT: f64 = 0.15;

/// Answers of 25 tokens in half a second.
fn slots(parallel: usize) -> simulate::Config {
    simulate::Config { rate: 50.0, tokens: 25, contention: 0.0, parallel, ..quick() }
}

/// A sidecar before the Ollama that finds its limit.
async fn before(ollama: &Simulated, min_tokens_per_second: Option<u32>) -> Arc<Sidecar> {
    let mut config = in_turn(&[ollama.addr]);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Auto { min_tokens_per_second });
    config.queue.size = 1_000;
    Arc::new(up(config).await)
}

/// Clients that ask again as soon as they have an answer, for ever. They wait a little while Ollama is away.
fn demand(sidecar: &Arc<Sidecar>, clients: usize) -> JoinSet<()> {
    let mut asking = JoinSet::new();
    for client in 0..clients {
        let sidecar = sidecar.clone();
        asking.spawn(async move {
            for number in 0.. {
                let chat = json!({"model": "sim", "messages": [{"role": "user", "content": format!("{client} {number}")}]});
                match ask(&sidecar, "/api/chat", &chat).await.0 {
                    200 => {}
                    502 => tokio::time::sleep(Duration::from_millis(100)).await,
                    other => panic!("{other}"),
                }
            }
        });
    }
    asking
}

/// Waits until the limit is one of these.
async fn settles(sidecar: &Sidecar, limits: std::ops::RangeInclusive<usize>, within: Duration) {
    let began = Instant::now();
    while !limits.contains(&(sidecar.value(LIMIT) as usize)) {
        assert!(began.elapsed() < within, "the limit is {} and not {limits:?}", sidecar.value(LIMIT));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The streams that waited inside Ollama for more than 100 ms, and all of them.
fn hidden(sidecar: &Sidecar) -> (f64, f64) {
    let count = |bound: &str| {
        sidecar.value(&format!("phase_seconds_bucket{{model=\"sim:latest\",phase=\"queue\",le=\"{bound}\"}}"))
    };
    (count("+Inf") - count("0.1"), count("+Inf"))
}

#[tokio::test]
async fn automatic_limit_is_the_slots_of_ollama_and_few_streams_wait_inside() {
    let ollama = Simulated::start(slots(2));
    let sidecar = before(&ollama, None).await;
    assert_eq!(sidecar.value(LIMIT), 4.0);
    let _asking = demand(&sidecar, 12);
    settles(&sidecar, 2..=2, Duration::from_secs(60)).await;
    assert!(sidecar.value("stream_limit_reason{upstream=\"gpu0\",reason=\"hidden_queue\"}") > 0.0);
    let (waited, all) = hidden(&sidecar);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (waited_now, all_now) = hidden(&sidecar);
    let share = (waited_now - waited) / (all_now - all);
    assert!(share < FEW_WAIT, "{share} of {}", all_now - all);
    let streams: Value = serde_json::from_str(&sidecar.page("/streams").await.1).unwrap();
    assert_eq!(streams["limits"][0]["upstream"], "gpu0");
    assert_eq!(streams["limits"][0]["max_streams"], sidecar.value(LIMIT) as u64);
}

#[tokio::test]
async fn automatic_limit_follows_an_ollama_with_more_slots() {
    let ollama = Simulated::start(slots(8));
    let sidecar = before(&ollama, None).await;
    let _asking = demand(&sidecar, 20);
    settles(&sidecar, 7..=9, Duration::from_secs(120)).await;
    assert!(sidecar.value(LOST) < 30.0);
}

#[tokio::test]
async fn floor_that_no_stream_reaches_leaves_one_stream() {
    let ollama = Simulated::start(slots(8));
    let sidecar = before(&ollama, Some(100_000)).await;
    let _asking = demand(&sidecar, 6);
    settles(&sidecar, 1..=1, Duration::from_secs(60)).await;
    assert_eq!(sidecar.value("stream_limit_reason{upstream=\"gpu0\",reason=\"floor\"}"), 1.0);
}

#[tokio::test]
#[ignore = "five minutes of an idle machine: `just automatic-limit`"]
async fn automatic_limit_settles_where_throughput_peaks() {
    let ollama = Simulated::start(simulate::Config {
        rate: 50.0,
        tokens: 60,
        contention: 0.02,
        congestion: 0.98 / 256.0,
        parallel: 64,
        jitter: 0.1,
        ..quick()
    });
    let sidecar = before(&ollama, None).await;
    let _asking = demand(&sidecar, 40);
    settles(&sidecar, 13..=19, Duration::from_secs(240)).await;
    println!("throughput peaks at 16 streams: the limit is {}", sidecar.value(LIMIT));
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let limit = sidecar.value(LIMIT) as usize;
        assert!((13..=19).contains(&limit), "{limit}");
    }
}

#[tokio::test]
#[ignore = "four minutes of an idle machine: `just automatic-limit`"]
async fn automatic_limit_follows_an_ollama_that_restarts_with_other_slots_within_two_minutes() {
    let mut ollama = Simulated::start(slots(4));
    let sidecar = before(&ollama, None).await;
    let _asking = demand(&sidecar, 20);
    for (number, parallel) in [4, 8, 4].into_iter().enumerate() {
        if number > 0 {
            ollama.kill().await;
            ollama = Simulated::start(simulate::Config { listen: ollama.addr, ..slots(parallel) });
        }
        let began = Instant::now();
        settles(&sidecar, parallel..=parallel, Duration::from_secs(120)).await;
        println!("{parallel} slots: the limit is {parallel} after {:.0} s", began.elapsed().as_secs_f64());
        // Long enough for several attempts to raise it.
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let limit = sidecar.value(LIMIT) as usize;
            assert!(limit.abs_diff(parallel) <= 1, "{limit} at {parallel} slots");
        }
    }
}
