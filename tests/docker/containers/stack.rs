//! The whole stack, as `docker compose up` starts it.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::{engine::Engine, project::Project};

const DEMO: &[&str] = &["compose.yaml", "compose.demo.yaml"];
const FLEET: &[&str] = &["compose.yaml", "compose.fleet.yaml"];
const TRACES: &[&str] = &["compose.yaml", "compose.traces.yaml"];
/// The time for asynchronous results, with a busy machine in mind.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
fn compose_accepts_every_combination_of_files() {
    let engine = Engine::start();
    for files in [
        &["compose.yaml"][..],
        &["compose.yaml", "compose.gpu.yaml"],
        DEMO,
        FLEET,
        TRACES,
        &["compose.yaml", "compose.gpu.yaml", "compose.demo.yaml"],
        &["compose.yaml", "compose.gpu.yaml", "compose.traces.yaml"],
        &["compose.yaml", "compose.demo.yaml", "compose.traces.yaml"],
    ] {
        let project = Project::new(&engine, files);
        project.say(&["config", "--quiet"]);
        let shown: Value =
            serde_json::from_str(&project.say(&["--profile=*", "config", "--format=json"])).unwrap();
        let services = &shown["services"];
        // In the merged configuration, Ollama has no port, and all other ports except the proxy's are on loopback.
        assert!(services["ollama"]["ports"].is_null(), "{files:?}: {services}");
        for (name, service) in services.as_object().unwrap() {
            for port in service["ports"].as_array().into_iter().flatten() {
                assert_eq!(port["host_ip"], "127.0.0.1", "{files:?}: {name}");
            }
            assert_eq!(service["read_only"], true, "{files:?}: {name}");
            assert_eq!(service["cap_drop"], json!(["ALL"]), "{files:?}: {name}");
            assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{files:?}: {name}");
        }
        let gpu =
            |service: &str| &services[service]["deploy"]["resources"]["reservations"]["devices"][0]["driver"];
        let asked = files.contains(&"compose.gpu.yaml");
        assert_eq!(gpu("ollama") == "nvidia" && gpu("streamgauge") == "nvidia", asked, "{files:?}");
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
async fn demo_stack_fills_prometheus_and_drains_when_stopped() {
    let engine = Engine::start();
    let project = Project::new(&engine, DEMO);
    let start = Instant::now();
    let until = async |expr: &str, value: f64| {
        let deadline = Instant::now() + PATIENCE;
        while project.query(expr).await != [value] {
            assert!(Instant::now() < deadline, "never {value}: {expr}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        start.elapsed().as_secs_f64()
    };
    let fills = async {
        let counted =
            until("count(streamgauge_requests_total{instance=\"streamgauge:9464\"} > 0) > bool 0", 1.0).await;
        let rated =
            until("sum(rate(streamgauge_requests_total{instance=\"streamgauge:9464\"}[1m])) > bool 0", 1.0)
                .await;
        println!(
            "from `up`: {counted:.0} s to the first request in Prometheus, {rated:.0} s to the first rate"
        );
    };
    let up = async {
        project.up().await;
        println!("from `up`: {:.0} s until all are healthy", start.elapsed().as_secs_f64());
    };
    tokio::join!(fills, up);
    until("count(up{job=\"streamgauge\"} == 1)", 2.0).await;
    until("up{instance=\"streamgauge:9464\"}", 1.0).await;
    until("min(streamgauge_runtime_unstable_metrics{instance=\"streamgauge:9464\"})", 1.0).await;
    until("count(streamgauge_gpu_info{name=\"fake GPU\"})", 1.0).await;
    let callers =
        "count(count by (caller) (streamgauge_caller_requests_total{instance=\"streamgauge:9464\"} > 0))";
    until(callers, 3.0).await;
    let health = reqwest::get(format!("http://127.0.0.1:{}/api/health", project.grafana)).await.unwrap();
    assert!(health.status().is_success());
    let page = reqwest::get(format!("http://127.0.0.1:{}/readyz", project.admin)).await.unwrap();
    assert!(page.status().is_success());

    is_separated(&project);

    // Prometheus may end, and the sidecar continues.
    project.say(&["stop", "prometheus", "grafana"]);
    stop_lets_stream_end(&engine, &project).await;
    project.say(&["down", "--volumes"]);
}

/// Only Ollama and the sidecar are in Ollama's network, and the sidecar cannot write.
fn is_separated(project: &Project<'_>) {
    assert!(project.reaches("prometheus", "streamgauge/9464"));
    assert!(!project.reaches("prometheus", "ollama/11434"));
    assert!(!project.reaches("clients", "ollama/11434"));
    assert!(project.reaches("streamgauge", "ollama/11434"));
    assert!(!project.can("streamgauge", &["touch", "/tmp/x"]));
}

/// A stream of some seconds is complete, though the sidecar is stopped in the middle of it.
async fn stop_lets_stream_end(engine: &Engine, project: &Project<'_>) {
    let body = json!({"model": "sim:small", "prompt": "why", "options": {"num_predict": 400}});
    let url = format!("http://127.0.0.1:{}/api/generate", project.proxy);
    let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut stream = response.bytes_stream();
    let mut answer = stream.next().await.unwrap().unwrap().to_vec();
    let container = project.container("streamgauge");
    let stop = async {
        let output =
            tokio::process::Command::from(engine.docker(&["stop", &container])).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let read = async {
        while let Some(chunk) = stream.next().await {
            answer.extend(chunk.unwrap());
        }
    };
    tokio::join!(read, stop);
    let records: Vec<Value> = answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(records.last().unwrap()["done"], true, "{records:?}");
    assert_eq!(records.last().unwrap()["eval_count"], 400);
    assert_eq!(engine.inspect(&container, "{{.State.ExitCode}}"), "0");
    // The stop came in the middle of the stream.
    let log = project.say(&["logs", "--no-color", "streamgauge"]);
    assert!(log.contains("draining"), "{log}");
}

#[tokio::test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
async fn fleet_stack_shares_limits_and_falls_back_without_store() {
    let engine = Engine::start();
    let project = Project::new(&engine, FLEET);
    project.up().await;
    let until = async |expr: &str, value: f64| {
        let deadline = Instant::now() + PATIENCE;
        while project.query(expr).await != [value] {
            assert!(Instant::now() < deadline, "never {value}: {expr}: {:?}", project.query(expr).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until("count(up{job=\"streamgauge\"} == 1)", 3.0).await;
    until("sum(streamgauge_shared_mode{mode=\"shared\"})", 3.0).await;
    until("max(streamgauge_shared_sidecars)", 3.0).await;
    until("count(sum by (instance) (streamgauge_shared_decisions_total{source=\"store\"}) > 0)", 3.0).await;
    until("job:streamgauge_chunk_gap_seconds:p99_rate5m > bool 0", 1.0).await;

    // The guest has three requests, wherever it sends them.
    let [second, third] = project.others;
    let mut answers = Vec::new();
    for port in [project.proxy, second, third, project.proxy, second, third] {
        let body = json!({"model": "sim:small", "prompt": "why", "options": {"num_predict": 2}});
        let url = format!("http://127.0.0.1:{port}/api/generate");
        let request = reqwest::Client::new().post(url).bearer_auth("demo-guest").json(&body);
        answers.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 429, 429, 429]);

    // Nobody but the sidecars reaches the store, and each Ollama has only its own sidecar.
    assert!(project.reaches("streamgauge2", "valkey/6379"));
    assert!(project.reaches("streamgauge2", "ollama2/11434"));
    for (from, to) in
        [("clients2", "valkey/6379"), ("clients2", "ollama2/11434"), ("streamgauge2", "ollama3/11434")]
    {
        assert!(!project.reaches(from, to), "{from} reaches {to}");
    }

    // Without the store, each sidecar applies its share, and Prometheus says so.
    project.say(&["stop", "valkey"]);
    until("sum(streamgauge_shared_mode{mode=\"local\"})", 3.0).await;
    project.say(&["start", "valkey"]);
    until("sum(streamgauge_shared_mode{mode=\"shared\"})", 3.0).await;
    project.say(&["down", "--volumes"]);
}

#[tokio::test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
async fn traces_stack_shows_requests_in_jaeger_which_only_the_sidecar_reaches() {
    let engine = Engine::start();
    let project = Project::new(&engine, TRACES);
    project.up().await;
    let version = reqwest::get(format!("http://127.0.0.1:{}/api/version", project.proxy)).await.unwrap();
    assert_eq!(version.status(), 200);
    let url = format!("http://127.0.0.1:{}/api/v3/services", project.jaeger);
    let deadline = Instant::now() + PATIENCE;
    while reqwest::get(&url).await.unwrap().json::<Value>().await.unwrap()["services"]
        != json!(["streamgauge"])
    {
        assert!(Instant::now() < deadline, "{}", project.say(&["logs", "--no-color", "streamgauge"]));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (from, is_reached) in [("streamgauge", true), ("prometheus", false), ("ollama", false)] {
        assert_eq!(project.reaches(from, "jaeger/16686"), is_reached, "{from}");
    }
    project.say(&["down", "--volumes"]);
}

#[tokio::test]
#[ignore = "needs a Docker engine; tests/real/install.sh"]
async fn real_ollama_in_stack_is_hardened_and_reachable_only_through_sidecar() {
    let engine = Engine::start();
    let project = Project::new(&engine, &["compose.yaml"]);
    project.up().await;
    let get = async |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", project.proxy);
        reqwest::get(url).await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(get("/api/tags").await, json!({"models": []}));
    assert!(get("/api/version").await["version"].is_string());
    let ollama = project.container("ollama");
    assert_eq!(engine.inspect(&ollama, "{{json .HostConfig.PortBindings}}"), "{}");
    assert_eq!(engine.inspect(&ollama, "{{len .NetworkSettings.Networks}}"), "1");
    assert!(!project.can("ollama", &["touch", "/root/x"]));
    project.say(&["down", "--volumes"]);
}
