//! Embeds a sidecar in a program, on free ports and with the program's own registry.
//!
//! `cargo run --example sidecar` sends one stream through it to a simulated Ollama and prints the measurements.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::{error::Error, future, time::Duration};

use prometheus::{Registry, TextEncoder};
use serde_json::json;
use streamgauge::sidecar::{self, Sidecar};
use streamgauge_simulate::{self as simulate, Simulator};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // Replace it with your Ollama.
    let ollama = Simulator::bind(simulate::Config {
        tokens: 16,
        load_time: Duration::ZERO,
        ..simulate::Config::default()
    })?;
    let url = format!("http://{}", ollama.addr());
    tokio::spawn(ollama.run(future::pending()));

    // The settings are plain values. No file and no environment variable is read.
    let mut config = sidecar::Config::default();
    config.proxy.listen.set_port(0);
    config.admin.listen.set_port(0);
    let upstream = &mut config.upstream.upstreams[0];
    upstream.name = "gpu0".to_owned();
    upstream.url = url.parse()?;

    // The registry is yours, so it can contain the metrics of your program too.
    let registry = Registry::new();
    let bound = Sidecar::builder().config(config).registry(registry.clone()).bind().await?;
    println!("clients: http://{}", bound.proxy_addr());
    println!("Prometheus: http://{}/metrics", bound.admin_addr());

    let chat = format!("http://{}/api/chat", bound.proxy_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let sidecar = tokio::spawn(bound.run(async {
        // The sender was used or dropped.
        let _ = stopped.await;
    }));

    let question =
        json!({ "model": "sim:latest", "messages": [{ "role": "user", "content": "Why is the sky blue?" }] });
    let answer = reqwest::Client::new().post(chat).json(&question).send().await?.text().await?;
    println!("an answer of {} records\n", answer.lines().count());

    // After the drain, the outcome of every request is recorded.
    drop(stop);
    sidecar.await?;
    let metrics = TextEncoder::new().encode_to_string(&registry.gather())?;
    let of_the_model = metrics.lines().filter(|line| line.contains("model=\"sim:latest\""));
    for line in of_the_model.filter(|line| !line.contains("_bucket{") && !line.ends_with(" 0")) {
        println!("{line}");
    }
    Ok(())
}
