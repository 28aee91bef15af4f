//! A sidecar that has served 16 models.

use std::time::Duration;

use serde_json::json;
use streamgauge::{
    collector::FakeReader,
    sidecar::{Config, Sidecar},
    upstream::UpstreamConfig,
};
use streamgauge_simulate::{self as simulate, Simulator};

const MODELS: usize = 16;

/// The text of its `/metrics`.
pub(crate) async fn exposition() -> String {
    let models: Vec<String> = (0..MODELS).map(|model| format!("model{model}:latest")).collect();
    let simulator = Simulator::bind(simulate::Config {
        models: models.clone(),
        load_time: Duration::from_millis(600),
        rate: 200.0,
        tokens: 40,
        ..simulate::Config::default()
    })
    .unwrap();
    let mut config = Config::default();
    config.proxy.listen = ([127, 0, 0, 1], 0).into();
    config.admin.listen = ([127, 0, 0, 1], 0).into();
    let url = format!("http://{}", simulator.addr()).parse().unwrap();
    config.upstream.upstreams = vec![UpstreamConfig::new("gpu0", url)];
    config.upstream.health_interval = Duration::from_millis(200);
    tokio::spawn(simulator.run(std::future::pending()));
    let bound = Sidecar::builder().config(config).gpus(FakeReader::new(2)).process().bind().await.unwrap();
    let (proxy, admin) = (bound.proxy_addr(), bound.admin_addr());
    let run = tokio::spawn(bound.run(std::future::pending()));

    let client = reqwest::Client::new();
    let ask = async |path: &str, model: &str, fault: &str| {
        let messages = json!([{"role": "user", "content": "why"}]);
        let body = json!({"model": model, "messages": messages, "prompt": "why", "stream": true});
        let request =
            client.post(format!("http://{proxy}{path}")).header("x-simulate-fault", fault).json(&body);
        if let Ok(response) = request.send().await {
            let _ = response.bytes().await;
        }
    };
    for path in ["/api/chat", "/api/generate", "/v1/chat/completions"] {
        futures_util::future::join_all(models.iter().map(|model| ask(path, model, ""))).await;
        for fault in ["truncate", "error", "reset", ""] {
            ask(path, &models[0], fault).await;
        }
    }
    // The collector of models reads every ten seconds.
    let page = async || reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    loop {
        let exposition = page().await;
        if exposition.contains("streamgauge_model_vram_bytes{")
            && exposition.contains("streamgauge_gpu_info{")
        {
            run.abort();
            return exposition;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
