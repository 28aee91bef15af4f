//! The effect of an adaptive pace, measured with the simulator's contention.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use streamgauge::shaping::{
    self,
    adaptive::{self, Input},
};
use streamgauge_simulate::{self as simulate, Simulator};

use crate::harness::*;

/// Two streams have each 1 / 1.5 of the rate of one alone.
const CONTENTION: f64 = 0.5;
const EXPECTED: f64 = 1.0 / (1.0 + CONTENTION);

fn simulator() -> SocketAddr {
    let bound = Simulator::bind(simulate::Config {
        rate: 200.0,
        tokens: 100_000,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        contention: CONTENTION,
        jitter: 0.0,
        ..simulate::Config::default()
    })
    .unwrap();
    let addr = bound.addr();
    tokio::spawn(bound.run(std::future::pending()));
    addr
}

/// A stream that the client leaves after this long.
async fn stream(sidecar: &Sidecar, time: Duration) {
    let request = reqwest::Client::new().post(format!("http://{}/api/generate", sidecar.proxy));
    let mut answer = request.json(&json!({"model": "sim", "prompt": "why"})).send().await.unwrap();
    let _ = tokio::time::timeout(time, async { while answer.chunk().await.unwrap().is_some() {} }).await;
}

/// The tokens per second of a stream while this many decode.
fn rate(sidecar: &Sidecar, streams: u32) -> f64 {
    let tokens =
        format!("concurrency_tokens_total{{upstream=\"gpu0\",model=\"sim:latest\",streams=\"{streams}\"}}");
    let seconds = format!("concurrency_stream_seconds_total{{upstream=\"gpu0\",streams=\"{streams}\"}}");
    sidecar.value(&tokens) / sidecar.value(&seconds)
}

/// The input `true` over two streams of at least two seconds, once the pace has this value.
async fn input(shaping: shaping::Config, pace: f64) -> f64 {
    let mut config = config(simulator());
    config.shaping = shaping;
    let sidecar = sidecar(config).await;
    stream(&sidecar, Duration::from_millis(1500)).await;
    let two = async { tokio::join!(stream(&sidecar, PATIENCE), stream(&sidecar, PATIENCE)) };
    let settled = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        sidecar.until("pace_tokens_per_second{caller=\"anonymous\"}", pace).await;
        rate(&sidecar, 2) / rate(&sidecar, 1)
    };
    tokio::select! { input = settled => input, _ = two => panic!("the streams ended") }
}

#[tokio::test]
async fn adaptive_pace_does_not_change_true_speedup() {
    let law = adaptive::Config { floor: 20.0, window: Duration::from_millis(100), ..Default::default() };
    assert_eq!((law.input, law.ceiling), (Input::True, 120.0));
    let (unpaced, paced, adapted) = tokio::join!(
        input(shaping::Config::default(), 0.0),
        input(shaping::Config { pace: 20, ..Default::default() }, 20.0),
        input(shaping::Config { adaptive: Some(law), ..Default::default() }, 20.0),
    );
    println!("input true: unpaced {unpaced:.3}, at 20/s {paced:.3}, adapted {adapted:.3}");
    for input in [unpaced, paced, adapted] {
        // A busy machine affects two streams differently. A pace that affected them would bring the value to 0.9.
        assert!((input / EXPECTED - 1.0).abs() < 0.25, "{unpaced} {paced} {adapted}, not {EXPECTED}");
    }
}

#[tokio::test]
async fn max_streams_of_one_gives_each_stream_full_speed() {
    let mut config = config(simulator());
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    let sidecar = sidecar(config).await;
    let time = Duration::from_millis(1500);
    tokio::join!(stream(&sidecar, time), stream(&sidecar, time));
    // Each had the whole rate, one after the other.
    assert!((rate(&sidecar, 1) / 200.0 - 1.0).abs() < 0.1, "{}", rate(&sidecar, 1));
    assert_eq!(sidecar.value("concurrency_seconds_total{upstream=\"gpu0\",streams=\"2\"}"), 0.0);
}
