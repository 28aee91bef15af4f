//! The names of models: one model in any spelling, and the labels of models.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use streamgauge::upstream::{Policy, UpstreamConfig};
use streamgauge_simulate::{self as simulate, Simulator, Truth};

use crate::harness::*;

/// Ollamas with these models, and a sidecar that uses them in turn.
async fn before(lists: &[&[&str]], model_limit: usize) -> (Sidecar, Vec<Arc<Truth>>) {
    let (mut truths, mut upstreams) = (Vec::new(), Vec::new());
    for (place, models) in lists.iter().enumerate() {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let (rate, load_time, tokens) = (0.0, Duration::ZERO, 3);
        let quick = simulate::Config { models, rate, load_time, tokens, ..simulate::Config::default() };
        let ollama = Simulator::bind(quick).unwrap();
        let url = format!("http://{}", ollama.addr()).parse().unwrap();
        truths.push(ollama.truth());
        upstreams.push(UpstreamConfig::new(format!("gpu{place}"), url));
        tokio::spawn(ollama.run(std::future::pending()));
    }
    let mut config = config(([127, 0, 0, 1], 1).into());
    config.upstream.upstreams = upstreams;
    config.upstream.choose = Policy::RoundRobin;
    config.upstream.health_interval = Duration::from_secs(3600);
    config.meter.model_limit = model_limit;
    let sidecar = sidecar(config).await;
    for place in 0..lists.len() {
        sidecar.until(&format!("upstream_up{{upstream=\"gpu{place}\"}}"), 1.0).await;
    }
    (sidecar, truths)
}

async fn ask(sidecar: &Sidecar, path: &str, body: &Value) -> u16 {
    let client = reqwest::Client::new();
    let response = client.post(format!("http://{}{path}", sidecar.proxy)).json(body).send().await.unwrap();
    let status = response.status().as_u16();
    let _ = response.bytes().await.unwrap();
    status
}

fn complete(upstream: &str, route: &str, model: &str) -> String {
    format!(
        "requests_total{{upstream=\"{upstream}\",route=\"{route}\",model=\"{model}\",outcome=\"complete\"}}"
    )
}

/// The values of the label `model` in a scrape.
async fn labels(sidecar: &Sidecar) -> Vec<String> {
    let (_, page) = sidecar.page("/metrics").await;
    let mut labels: Vec<_> = page
        .split("model=\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .filter(|label| !["none", "unknown"].contains(&label.as_str()))
        .collect();
    labels.sort();
    labels.dedup();
    labels
}

#[tokio::test]
async fn model_name_in_any_spelling_is_routed_and_labelled_as_listed() {
    let (sidecar, truths) = before(&[&["Other:7b"], &["Ada/Mixed:Q4_K_M"]], 16).await;
    let names =
        ["Ada/Mixed:Q4_K_M", "ada/mixed:q4_k_m", "ADA/MIXED:Q4_K_M", "registry.ollama.ai/ada/Mixed:q4_k_m"];
    for name in names {
        for _ in 0..2 {
            assert_eq!(
                ask(&sidecar, "/api/generate", &json!({"model": name, "prompt": "x"})).await,
                200,
                "{name}"
            );
        }
    }
    assert_eq!((truths[0].requests("/api/generate"), truths[1].requests("/api/generate")), (0, 8));
    sidecar.until(&complete("gpu1", "generate", "Ada/Mixed:Q4_K_M"), 8.0).await;
    assert_eq!(labels(&sidecar).await, ["Ada/Mixed:Q4_K_M"]);
}

#[tokio::test]
async fn model_name_spellings_take_no_label_from_a_served_model() {
    let (sidecar, _) = before(&[&["a:latest", "b:latest", "c:latest"]], 2).await;
    for spelling in 0_u32..32 {
        // All of them are names of the model, which is shown.
        let letter = |at: u32, letter: char| {
            if spelling >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        let tag: String = "latest".chars().zip(0..).map(|(one, at)| letter(at, one)).collect();
        assert_eq!(ask(&sidecar, "/api/show", &json!({"model": format!("a:{tag}")})).await, 200, "{tag}");
        assert_eq!(ask(&sidecar, "/api/show", &json!({"model": format!("junk{spelling}")})).await, 404);
    }
    sidecar.until(&complete("gpu0", "show", "other"), 32.0).await;
    assert_eq!(labels(&sidecar).await, ["other"]);
    for model in ["b", "c"] {
        assert_eq!(ask(&sidecar, "/api/generate", &json!({"model": model, "prompt": "x"})).await, 200);
        sidecar.until(&complete("gpu0", "generate", &format!("{model}:latest")), 1.0).await;
    }
    assert_eq!(sidecar.value("model_labels_dropped_total"), 0.0);
    // With a third model, the least recently used one loses its label, which is counted.
    assert_eq!(ask(&sidecar, "/api/embed", &json!({"model": "A", "input": "x"})).await, 200);
    sidecar.until(&complete("gpu0", "embed", "a:latest"), 1.0).await;
    assert_eq!(labels(&sidecar).await, ["a:latest", "c:latest", "other"]);
    assert_eq!(sidecar.value("model_labels_dropped_total"), 1.0);
}

#[tokio::test]
async fn model_just_pulled_has_its_label_at_first_response() {
    let (sidecar, truths) = before(&[&["a:latest"]], 16).await;
    assert_eq!(ask(&sidecar, "/api/pull", &json!({"model": "Simulated:1b"})).await, 200);
    sidecar.until(&complete("gpu0", "pull", "other"), 1.0).await;
    let probes = truths[0].requests("/api/tags");
    // The next probe is due in an hour, so that the request itself causes one.
    let ask_once = async || {
        assert_eq!(
            ask(&sidecar, "/api/generate", &json!({"model": "simulated:1b", "prompt": "x"})).await,
            200
        );
    };
    ask_once().await;
    soon(async {
        while truths[0].requests("/api/tags") == probes
            || sidecar.value(&complete("gpu0", "generate", "Simulated:1b")) == 0.0
        {
            ask_once().await;
        }
    })
    .await;
}

#[tokio::test]
async fn outcome_counters_exist_at_zero_before_first_error() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let clients = [sidecar.send(&generate()).await, sidecar.send(&generate()).await];
    let mut asked = [upstream.asked().await, upstream.asked().await];
    let (_, page) = sidecar.page("/metrics").await;
    for outcome in [
        "complete",
        "in_band_error",
        "truncated",
        "upstream_error",
        "client_error",
        "client_abort",
        "refused",
    ] {
        let zero = format!("streamgauge_{} 0", ended("generate", "other", outcome));
        let labels = |line: &str| {
            let mut labels: Vec<_> = line.split(['{', ',', '}']).map(str::to_owned).collect();
            labels.sort();
            labels
        };
        assert!(page.lines().any(|line| labels(line) == labels(&zero)), "no {zero} in\n{page}");
    }
    for asked in &mut asked {
        asked
            .write("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            .await;
    }
    for client in clients {
        let mut client = client;
        client.until("{}").await;
    }
    sidecar.until(&ended("generate", "other", "upstream_error"), 2.0).await;
}
