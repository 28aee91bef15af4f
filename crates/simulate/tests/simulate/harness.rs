//! A running simulator, and functions to send requests to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use streamgauge_simulate::{Config, Simulator, Truth};

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) truth: Arc<Truth>,
    pub(crate) client: reqwest::Client,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// As fast as possible, and without load or prefill: anything that a test does not check takes no time.
pub(crate) fn quick() -> Config {
    Config { rate: 0.0, load_time: Duration::ZERO, prefill_rate: 0.0, tokens: 8, ..Config::default() }
}

/// A tool in a format that every dialect reads.
pub(crate) fn tools() -> Value {
    json!([{"type": "function", "name": "look", "function": {"name": "look", "parameters": {}}}])
}

/// So slow that no stream ends within a test.
pub(crate) fn slow() -> Config {
    Config { rate: 1.0, tokens: 1000, jitter: 0.0, ..quick() }
}

pub(crate) fn run(config: Config) -> Running {
    let bound = Simulator::bind(config).unwrap();
    let (addr, truth) = (bound.addr(), bound.truth());
    let (_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(bound.run(async move {
        let _ = stopped.await;
    }));
    Running { addr, truth, client: reqwest::Client::new(), _stop }
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.post(self.url(path)).json(body)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.client.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str, body: &Value) -> String {
        self.post(path, body).send().await.unwrap().text().await.unwrap()
    }
}

/// Returns the records of an NDJSON body.
pub(crate) fn lines(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the events of an SSE body: name and data.
pub(crate) fn events(body: &str) -> Vec<(String, Value)> {
    body.split_terminator("\n\n")
        .map(|event| {
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let data = field("data: ");
            let data = if data == "[DONE]" { Value::from(data) } else { serde_json::from_str(data).unwrap() };
            (field("event: ").to_owned(), data)
        })
        .collect()
}
