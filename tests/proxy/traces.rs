//! One span for each sampled request, exported to an endpoint of the test.

mod context;
mod endpoint;
mod receiver;
#[cfg(feature = "tls")]
mod secured;
mod story;

use std::time::Duration;

use receiver::Receiver;
use streamgauge::{sidecar::Config, traces};

use crate::harness::{self, Asked, Client, LAST, RECORD, STREAM, Sidecar, Upstream, chunk};

/// Traces of all requests, sent at once.
fn traced(upstream: &Upstream, endpoint: &Receiver) -> Config {
    let mut config = harness::config(upstream.addr);
    config.traces = Some(to(&format!("http://{}", endpoint.addr)));
    config
}

fn to(endpoint: &str) -> traces::Config {
    let mut traces = traces::Config::new(format!("{endpoint}/v1/traces").parse().unwrap());
    traces.sample_ratio = 1.0;
    traces.interval = Duration::from_millis(1);
    traces
}

/// A generation with these fields more. Returns the head that the upstream got.
async fn generate(sidecar: &Sidecar, upstream: &mut Upstream, fields: &str) -> String {
    let request =
        harness::generate().replacen("\r\n\r\n", &format!("\r\n{fields}Connection: close\r\n\r\n"), 1);
    let client = sidecar.send(&request).await;
    let asked = upstream.asked().await;
    finish(client, asked).await
}

async fn finish(client: Client, mut asked: Asked) -> String {
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD), &chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(client.rest().await.contains("\"done\":true"));
    asked.head
}
