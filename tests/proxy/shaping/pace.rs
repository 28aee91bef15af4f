//! The effect of a pace on the upstream.

use std::time::Duration;

use serde_json::json;
use streamgauge_simulate::{Config, Simulator};

use crate::harness::*;

#[tokio::test]
async fn pace_lets_ollama_generate_until_buffers_are_full_and_then_blocks_it() {
    let endless = Config { tokens: 1_000_000, rate: 0.0, load_time: Duration::ZERO, ..Config::default() };
    let simulator = Simulator::bind(endless).unwrap();
    let (addr, truth) = (simulator.addr(), simulator.truth());
    tokio::spawn(simulator.run(std::future::pending()));
    let mut config = config(addr);
    config.shaping.pace = 1;
    let sidecar = sidecar(config).await;
    let request = reqwest::Client::new().post(format!("http://{}/api/generate", sidecar.proxy));
    let mut answer = request.json(&json!({"model": "sim", "prompt": "why"})).send().await.unwrap();
    answer.chunk().await.unwrap().unwrap();
    let mut made = 0;
    let settled = async {
        while truth.output_tokens() > std::mem::replace(&mut made, truth.output_tokens()) {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    soon(settled).await;
    println!("{made} tokens were made while a few were handed on");
    assert!((1_000..500_000).contains(&made), "{made}");
    assert_eq!(truth.ended(), 0, "it waits");
    let held = sidecar.value("shaping_buffer_bytes");
    assert!((1.0..=320_000.0).contains(&held), "{held}");
}

#[tokio::test]
async fn pace_does_not_change_measured_model_speed() {
    let model = Config {
        tokens: 40,
        rate: 100.0,
        jitter: 0.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        ..Config::default()
    };
    let simulator = Simulator::bind(model).unwrap();
    let mut config = config(simulator.addr());
    tokio::spawn(simulator.run(std::future::pending()));
    config.shaping.pace = 20;
    let sidecar = sidecar(config).await;
    let request = reqwest::Client::new().post(format!("http://{}/api/generate", sidecar.proxy));
    let answer = request.json(&json!({"model": "sim", "prompt": "why"})).send().await.unwrap();
    answer.bytes().await.unwrap();
    sidecar.until(&ended("generate", "sim:latest", "complete"), 1.0).await;
    let of = |histogram: &str, part: &str, labels: &str| {
        sidecar.value(&format!("{histogram}_{part}{{model=\"sim:latest\",{labels}}}"))
    };
    let mean = |histogram: &str, labels: &str| of(histogram, "sum", labels) / of(histogram, "count", labels);
    let upstream = mean("chunk_gap_seconds", "at=\"upstream\"");
    let client = mean("chunk_gap_seconds", "at=\"client\"");
    let decode = mean("phase_seconds", "phase=\"decode\"");
    // The model's gaps are 10 ms, and those of the pace are 50 ms. On a busy machine, a late first record shortens
    // their mean, and a late last record lengthens it.
    assert!((0.004..0.025).contains(&upstream), "{upstream}");
    assert!((0.03..0.2).contains(&client), "{client}");
    // Everything was handed on, though most of it came long before.
    assert_eq!(of("chunk_gap_seconds", "count", "at=\"client\""), 39.0);
    // The time that a pace holds a record is not overhead. It does not hold the first record. The others are held
    // for at least 50 ms.
    let overhead = |part: &str| sidecar.value(&format!("self_overhead_seconds_{part}"));
    let (sum, count) = (overhead("sum"), overhead("count"));
    assert!(count >= 1.0 && sum / count < 0.04, "{count}, {sum} s together");
    assert!((0.15..1.2).contains(&decode), "{decode}");
    assert_eq!(sidecar.value("gaps_held_total{model=\"sim:latest\"}"), 0.0);
}
