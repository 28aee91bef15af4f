//! A sidecar in front of a simulated Ollama, in this process.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use streamgauge::{
    sidecar::{Builder, Config},
    upstream::UpstreamConfig,
};
use streamgauge_simulate::{self as simulate, Simulator};
use tokio::task::JoinHandle;

use super::scrape::Scrape;

pub(crate) struct Sidecar {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    run: JoinHandle<()>,
}

/// Free ports and one upstream.
pub(crate) fn config(upstream: SocketAddr) -> Config {
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    config.upstream.upstreams =
        vec![UpstreamConfig::new("gpu0", format!("http://{upstream}").parse().unwrap())];
    config.upstream.health_interval = Duration::from_millis(200);
    config.collectors.gpu = None;
    config
}

/// A simulated Ollama that runs until the test ends.
pub(crate) fn simulator(config: simulate::Config) -> SocketAddr {
    let simulator = Simulator::bind(config).unwrap();
    let addr = simulator.addr();
    tokio::spawn(simulator.run(std::future::pending()));
    addr
}

impl Sidecar {
    pub(crate) async fn start(config: Config) -> Sidecar {
        Sidecar::built(streamgauge::sidecar::Sidecar::builder().config(config)).await
    }

    pub(crate) async fn built(builder: Builder) -> Sidecar {
        let bound = builder.bind().await.unwrap();
        let (proxy, admin) = (bound.proxy_addr(), bound.admin_addr());
        Sidecar { proxy, admin, run: tokio::spawn(bound.run(std::future::pending())) }
    }

    /// Cuts everything at once.
    pub(crate) async fn stop(self) {
        self.run.abort();
        let _ = self.run.await;
    }

    pub(crate) async fn ask(
        &self,
        path: &str,
        body: Value,
        fault: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let url = format!("http://{}{path}", self.proxy);
        reqwest::Client::new().post(url).header("x-simulate-fault", fault).json(&body).send().await
    }

    /// Sends a request and reads the whole response.
    pub(crate) async fn chat(&self, model: &str, fault: &str) {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "why is the sky blue"}]});
        if let Ok(response) = self.ask("/api/chat", body, fault).await {
            let _ = response.bytes().await;
        }
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        reqwest::get(format!("http://{}{path}", self.admin)).await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::read(&self.page("/metrics").await)
    }
}
