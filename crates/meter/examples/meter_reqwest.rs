//! Uses only the meter, around the response of a program's own HTTP client: no proxy, no port.
//!
//! `cargo run --example meter_reqwest` sends a request to a simulated Ollama and prints the measurements.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::{error::Error, future, pin::pin, time::Duration};

use futures_util::StreamExt;
use prometheus::{Registry, TextEncoder};
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use streamgauge_meter::meter::{self, Facts, Meter, Outcome};
use streamgauge_simulate::{self as simulate, Simulator};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // Represents your Ollama.
    let ollama = Simulator::bind(simulate::Config {
        tokens: 16,
        load_time: Duration::ZERO,
        ..simulate::Config::default()
    })?;
    let url = format!("http://{}/api/generate", ollama.addr());
    tokio::spawn(ollama.run(future::pending()));

    // Once in a program.
    let registry = Registry::new();
    let meter = Meter::register(&registry, &meter::Config::default(), &["ollama"])?;

    // For each request: start the measurement before you send the request, because the time to first token counts
    // from here.
    let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
    measurement.model_named("sim:latest");
    measurement.upstream_chosen("ollama");
    let request = reqwest::Client::new()
        .post(url)
        .json(&json!({ "model": "sim:latest", "prompt": "Why is the sky blue?" }));
    // The request is so small that it is sent at once. The phase `queue` counts from here.
    measurement.live().request_sent();
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            // Without this call, the drop would record an abort by the client.
            measurement.finish(Outcome::UpstreamError);
            return Err(error.into());
        }
    };

    // For each response: wrap its stream, and read the wrapped stream. If it is dropped early, the measurement
    // records an abort.
    measurement.responded(response.status());
    let content_type =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut stream = pin!(measurement.wrap_stream(content_type.as_deref(), response.bytes_stream()));
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        bytes += chunk?.len();
    }
    println!("an answer of {bytes} bytes\n");

    let metrics = TextEncoder::new().encode_to_string(&registry.gather())?;
    let of_the_model = metrics.lines().filter(|line| line.contains("model=\"sim:latest\""));
    for line in of_the_model.filter(|line| !line.contains("_bucket{") && !line.ends_with(" 0")) {
        println!("{line}");
    }
    Ok(())
}
