//! Sidecars that share limits, in front of simulated Ollamas.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use prometheus::Registry;
use serde_json::json;
use streamgauge::{
    admission::{Access, Digest, Key, Limits, Quota},
    metric::Scrape,
    sidecar::{self, Sidecar},
    store::{self, OnFailure, Server},
    upstream::UpstreamConfig,
};
use streamgauge_simulate::{self as simulate, Simulator, Truth};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::redis::PATIENCE;

/// One sidecar.
pub(crate) struct One {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    registry: Registry,
    run: JoinHandle<()>,
    client: reqwest::Client,
}

/// The sidecars and their upstream.
pub(crate) struct Fleet {
    pub(crate) all: Vec<Arc<One>>,
    pub(crate) truth: Arc<Truth>,
}

pub(crate) fn quota(count: u32, seconds: u64) -> Quota {
    Quota::new(NonZeroU32::new(count).unwrap(), Duration::from_secs(seconds))
}

/// The key `sesame` of alice.
pub(crate) fn alice(limits: Limits) -> Key {
    Key {
        name: "alice".to_owned(),
        digest: Digest::of(b"sesame"),
        limits,
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    }
}

/// An upstream whose streams take this long.
pub(crate) fn streams(seconds: f64) -> simulate::Config {
    simulate::Config {
        rate: 10.0 / seconds,
        tokens: 10,
        jitter: 0.0,
        contention: 0.0,
        parallel: 1000,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        ..simulate::Config::default()
    }
}

impl Fleet {
    /// Starts so many sidecars with these keys.
    pub(crate) async fn start(
        count: usize,
        servers: &[Server],
        keys: &[Key],
        simulated: simulate::Config,
        change: impl Fn(&mut store::Config),
    ) -> Fleet {
        let bound = Simulator::bind(simulated).unwrap();
        let (addr, truth) = (bound.addr(), bound.truth());
        tokio::spawn(bound.run(std::future::pending()));
        let mut all = Vec::new();
        for _ in 0..count {
            let mut config = sidecar::Config::default();
            config.proxy.listen = ([127, 0, 0, 1], 0).into();
            config.admin.listen = ([127, 0, 0, 1], 0).into();
            config.upstream.upstreams =
                vec![UpstreamConfig::new("gpu0", format!("http://{addr}").parse().unwrap())];
            config.admission.keys = keys.to_vec();
            let mut shared = store::Config::new(servers[0].clone());
            shared.servers = servers.to_vec();
            // A machine that builds beside the tests may be slow. The tests of the deadline set their own.
            shared.deadline = Duration::from_secs(10);
            change(&mut shared);
            config.shared = Some(shared);
            all.push(Arc::new(One::start(config).await));
        }
        Fleet { all, truth }
    }

    /// Waits until the store decides at every sidecar, and every sidecar knows of all.
    pub(crate) async fn shares(&self) {
        for one in &self.all {
            one.until("shared_mode", &[("mode", "shared")], 1.0).await;
            one.until("shared_sidecars", &[], self.all.len() as f64).await;
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.run.abort();
    }
}

impl One {
    async fn start(config: sidecar::Config) -> One {
        let bound = Sidecar::builder().config(config).bind().await.unwrap();
        let (proxy, admin, registry) = (bound.proxy_addr(), bound.admin_addr(), bound.registry().clone());
        let run = tokio::spawn(bound.run(std::future::pending()));
        let client = reqwest::Client::builder().pool_max_idle_per_host(64).build().unwrap();
        One { proxy, admin, registry, run, client }
    }

    /// Ends it as a crash would: nothing is given back.
    pub(crate) fn crash(&self) {
        self.run.abort();
    }

    /// The status of a request that takes no slot, and its time.
    pub(crate) async fn version(&self) -> (u16, Duration) {
        let began = Instant::now();
        let request = self.client.get(format!("http://{}/api/version", self.proxy)).bearer_auth("sesame");
        let response = request.send().await.unwrap();
        (response.status().as_u16(), began.elapsed())
    }

    /// The status of a whole generation.
    pub(crate) async fn generate(&self) -> u16 {
        self.generate_by("sesame").await
    }

    /// The same with another key.
    pub(crate) async fn generate_by(&self, key: &str) -> u16 {
        let body = json!({"model": "sim", "prompt": "why"});
        let url = format!("http://{}/api/generate", self.proxy);
        let response = self.client.post(url).bearer_auth(key).json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        response.bytes().await.unwrap();
        status
    }

    /// The body of a page of the admin address.
    pub(crate) async fn page(&self, path: &str) -> String {
        reqwest::get(format!("http://{}{path}", self.admin)).await.unwrap().text().await.unwrap()
    }

    /// The value of a series.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let scrape = Scrape::take(&self.registry);
        scrape.find(name).sum(|series| labels.iter().all(|(label, value)| series.label(label) == *value))
    }

    /// Waits until a series has a value.
    pub(crate) async fn until(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let reached = async {
            while (self.value(name, labels) - value).abs() > 1e-9 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{name}{labels:?} is {}, not {value}", self.value(name, labels)));
    }

    pub(crate) async fn until_mode(&self, mode: &str) {
        self.until("shared_mode", &[("mode", mode)], 1.0).await;
    }
}

/// A change of the settings of the store.
pub(crate) fn policy(on_failure: OnFailure) -> impl Fn(&mut store::Config) {
    move |config| config.on_failure = on_failure
}
