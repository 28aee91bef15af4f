//! Clients that send every kind of request in turn, disconnect in the middle, and observe failures.

mod latency;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use reqwest::{RequestBuilder, Response};
use tokio::time::Instant;

use super::{PATIENCE, upstream::MODELS};
use latency::Latencies;

/// The results of all clients.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) requests: AtomicU64,
    /// Streams that ended completely.
    pub(crate) whole: AtomicU64,
    pub(crate) latencies: Latencies,
}

/// A client that sends one request after the other.
pub(crate) struct Client {
    http: reqwest::Client,
    proxy: SocketAddr,
    turn: usize,
    began: Instant,
    sent: Arc<Sent>,
}

impl Client {
    pub(crate) fn new(number: usize, proxy: SocketAddr, sent: Arc<Sent>) -> Client {
        let http = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(1).build().unwrap();
        // Spread out, so that all models have been used within the first third of a short run.
        Client { http, proxy, turn: 17 * number, began: Instant::now(), sent }
    }

    pub(crate) async fn ask_until(mut self, end: Instant) {
        while Instant::now() < end {
            self.turn += 1;
            let model = format!("m{}", self.turn / 10 % MODELS);
            match self.turn % 10 {
                0 => {
                    self.stream(
                        "/api/generate",
                        &format!(r#"{{"model":"{model}","prompt":"a"}}"#),
                        "\"done\":true",
                    )
                    .await
                }
                1 => self.stream("/api/chat", &chat(&model), "\"done\":true").await,
                2 => self.stream("/v1/chat/completions", &chat(&model), "data: [DONE]").await,
                3 => self.leave(&model).await,
                4 => self.fault(&model, "reset").await,
                5 => self.fault(&model, "error").await,
                6 => self.small(self.http.get(self.url("/api/tags"))).await,
                7 => self.small(self.http.get(self.url(&format!("/nothing/{}", self.turn)))).await,
                8 => self.small(self.http.post(self.url("/api/generate")).body("no JSON")).await,
                _ => {
                    let asked = Instant::now();
                    self.small(self.http.get(self.url("/api/version"))).await;
                    self.sent.latencies.note(self.began.elapsed(), asked.elapsed());
                }
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.proxy)
    }

    /// The sidecar always answers, whatever its upstreams do.
    async fn send(&self, request: RequestBuilder) -> Response {
        self.sent.requests.fetch_add(1, SeqCst);
        request.send().await.unwrap()
    }

    async fn small(&self, request: RequestBuilder) {
        // The upstream may go away in the middle.
        let _ = self.send(request).await.bytes().await;
    }

    /// A stream that looks complete is complete.
    async fn stream(&self, path: &str, body: &str, last: &str) {
        let answer = self.send(self.http.post(self.url(path)).body(body.to_owned())).await;
        let status = answer.status();
        if let Ok(text) = answer.text().await
            && status.is_success()
        {
            assert!(text.contains(last), "{path} looks whole: {text}");
            self.sent.whole.fetch_add(1, SeqCst);
        }
    }

    async fn leave(&self, model: &str) {
        let body = format!(r#"{{"model":"{model}","prompt":"a"}}"#);
        let mut answer = self.send(self.http.post(self.url("/api/generate")).body(body)).await;
        let _ = answer.chunk().await;
    }

    async fn fault(&self, model: &str, fault: &str) {
        let body = format!(r#"{{"model":"{model}","prompt":"a"}}"#);
        let request = self.http.post(self.url("/api/generate")).header("x-simulate-fault", fault).body(body);
        if let Ok(text) = self.send(request).await.text().await {
            assert!(!text.contains("\"done\":true"), "{fault}: {text}");
        }
    }
}

fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"a"}}]}}"#)
}
