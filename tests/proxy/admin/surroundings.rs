//! The collectors, and how little they can affect the streams.

use std::{sync::mpsc, thread, time::Duration};

use serde_json::json;
use streamgauge::{
    collector::{
        CollectError, FakeReader,
        gpu::{Depth, Identity, Reader, Sample},
    },
    sidecar::Sidecar,
};
use streamgauge_simulate::{self as simulate, Simulator};
use tokio::{runtime, sync::oneshot, time::Instant};

use crate::harness::*;

/// A scrape and every line of a stream arrive within this time, while something hangs for seconds.
const AT_ONCE: Duration = Duration::from_secs(1);

fn up(collector: &str) -> String {
    format!("collector_up{{collector=\"{collector}\"}}")
}

#[tokio::test]
async fn model_gauges_end_when_another_model_takes_the_label() {
    let simulator = Simulator::bind(simulate::Config {
        models: vec!["a:latest".to_owned(), "b:latest".to_owned()],
        tokens: 4,
        rate: 0.0,
        ..simulate::Config::default()
    })
    .unwrap();
    let mut config = config(simulator.addr());
    tokio::spawn(simulator.run(std::future::pending()));
    config.meter.model_limit = 1;
    config.upstream.health_interval = Duration::from_millis(20);
    config.collectors.models = Some(Duration::from_millis(20));
    let sidecar = sidecar(config).await;
    let ask = async |model: &str, keep_alive: i32| {
        let url = format!("http://{}/api/generate", sidecar.proxy);
        let body = json!({"model": model, "prompt": "why", "keep_alive": keep_alive});
        reqwest::Client::new().post(url).json(&body).send().await.unwrap().bytes().await.unwrap();
    };
    let of = |model: &str| format!("model_loaded{{upstream=\"gpu0\",model=\"{model}:latest\"}}");
    ask("a", -1).await;
    sidecar.until(&of("a"), 1.0).await;
    ask("a", 0).await;
    sidecar.until(&of("a"), 0.0).await;
    ask("b", -1).await;
    sidecar.until(&of("b"), 1.0).await;
    let gone = async {
        while sidecar.page("/metrics").await.1.contains(&of("a")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the gauge of a:latest ends");
}

#[tokio::test]
async fn model_load_unload_and_reload_are_shown() {
    let simulator =
        Simulator::bind(simulate::Config { tokens: 4, rate: 0.0, ..simulate::Config::default() }).unwrap();
    let mut config = config(simulator.addr());
    tokio::spawn(simulator.run(std::future::pending()));
    config.upstream.health_interval = Duration::from_millis(50);
    config.collectors.models = Some(Duration::from_millis(50));
    let sidecar = sidecar(config).await;
    let ask = async |body: serde_json::Value| {
        let url = format!("http://{}/api/generate", sidecar.proxy);
        let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap();
    };
    let of = |metric: &str| format!("model_{metric}{{upstream=\"gpu0\",model=\"sim:latest\"}}");
    let loads = |cause: &str| {
        format!("model_loads_total{{upstream=\"gpu0\",model=\"sim:latest\",cause=\"{cause}\"}}")
    };
    for expired in [0.0, 1.0] {
        ask(json!({"model": "sim", "prompt": "why"})).await;
        sidecar.until(&of("loaded"), 1.0).await;
        assert!(sidecar.value(&of("vram_bytes")) > 0.0);
        assert!(sidecar.value(&of("size_bytes")) >= sidecar.value(&of("vram_bytes")));
        let expires = sidecar.value(&of("expires_seconds"));
        assert!((200.0..=300.0).contains(&expires), "Ollama keeps it for five minutes: {expires}");
        assert_eq!((sidecar.value(&loads("first")), sidecar.value(&loads("expired"))), (1.0, expired));
        ask(json!({"model": "sim", "keep_alive": 0})).await;
        sidecar.until(&of("loaded"), 0.0).await;
        let (_, page) = sidecar.page("/metrics").await;
        assert!(!page.contains("model_vram_bytes{"), "what is not loaded takes no memory: {page}");
    }
    assert_eq!(sidecar.value(&up("models")), 1.0);
}

#[tokio::test]
async fn hanging_ollama_delays_no_scrape() {
    // It accepts connections and sends nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(silent.local_addr().unwrap());
    config.collectors.models = Some(Duration::from_millis(50));
    let sidecar = sidecar(config).await;
    sidecar.until(&up("models"), 1.0).await;
    for _ in 0..10 {
        let began = Instant::now();
        let (status, page) = sidecar.page("/metrics").await;
        assert_eq!(status, 200);
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        assert!(page.contains("streamgauge_upstream_up{upstream=\"gpu0\"} 0"), "{page}");
    }
}

/// A driver whose second call of a kind hangs for 5 s, or until the test releases it.
struct Hanging {
    reads: usize,
    release: mpsc::Receiver<()>,
    fake: FakeReader,
}

impl Reader for Hanging {
    fn open(&mut self) -> Result<Vec<Identity>, CollectError> {
        self.fake.open()
    }

    fn read(&mut self, position: usize, depth: Depth, sample: &mut Sample) -> Result<(), CollectError> {
        self.reads += 1;
        if self.reads > 1 {
            // It is released at the end of the test.
            let _ = self.release.recv_timeout(Duration::from_secs(5));
        }
        self.fake.read(position, depth, sample)
    }
}

#[tokio::test]
async fn hanging_gpu_driver_delays_no_stream_and_no_scrape() {
    let mut upstream = upstream().await;
    let (_let_go, release) = mpsc::sync_channel(0);
    let driver = Hanging { reads: 0, release, fake: FakeReader::new(1) };
    let builder = Sidecar::builder().config(config(upstream.addr)).gpus(driver);
    let sidecar = built(builder).await;
    sidecar.until(&up("gpu"), 1.0).await;

    let mut client = sidecar.send(&generate()).await;
    let mut asked = upstream.asked().await;
    asked.write(STREAM).await;
    let mut slowest = Duration::ZERO;
    // It hangs from the second reading on, and is reported as down when it is late by a second and two intervals.
    let began = Instant::now();
    while sidecar.value(&up("gpu")) > 0.0 {
        assert!(began.elapsed() < Duration::from_secs(4), "up while it hangs");
        let step = Instant::now();
        asked.write(&chunk(RECORD)).await;
        client.until(RECORD).await;
        let (status, page) = sidecar.page("/metrics").await;
        assert!(status == 200 && page.contains("streamgauge_gpu_info"), "{page}");
        slowest = slowest.max(step.elapsed());
    }
    assert!(began.elapsed() > Duration::from_millis(500), "a hanging call is not taken for a failed one");
    assert!(slowest < AT_ONCE, "{slowest:?}");
    asked.write(&[chunk(LAST), "0\r\n\r\n".to_owned()].concat()).await;
    client.until("0\r\n\r\n").await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
}

/// Serves on its own thread, as `serve` does, until the sender is dropped.
fn own_runtime() -> (runtime::Handle, oneshot::Sender<()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    thread::spawn(move || runtime.block_on(ended));
    (handle, end)
}

#[tokio::test]
async fn runtime_metrics_show_each_runtime_and_kind_of_task_by_name() {
    let mut upstream = upstream().await;
    let runtimes: Vec<_> = (0..3).map(|_| own_runtime()).collect();
    let [one, other, admin] = [0, 1, 2].map(|number: usize| runtimes[number].0.clone());
    let mut config = config(upstream.addr);
    config.collectors.runtime = Some(Duration::from_millis(100));
    let builder = Sidecar::builder()
        .config(config)
        .runtimes([one, other])
        .admin_runtime(admin)
        .gpus(FakeReader::new(1));
    let mut sidecar = built(builder).await;

    let served = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.write(&[STREAM, &chunk(LAST), "0\r\n\r\n"].concat()).await;
    assert!(served.rest().await.ends_with("0\r\n\r\n"));
    assert_eq!(sidecar.page("/metrics").await.0, 200);

    sidecar.until(&up("runtime"), 1.0).await;
    for (runtime, workers) in [("main", 2.0), ("admin", 1.0), ("accept", 1.0)] {
        assert_eq!(sidecar.value(&format!("runtime_workers{{runtime=\"{runtime}\"}}")), workers, "{runtime}");
        sidecar.until_some(&format!("runtime_lag_seconds_count{{runtime=\"{runtime}\"}}")).await;
    }
    for task in ["connection", "admin", "collector"] {
        sidecar.until_some(&format!("task_polls_total{{task=\"{task}\"}}")).await;
    }
    let (_, page) = sidecar.page("/metrics").await;
    assert!(!page.contains("\nprocess_"), "the process is the embedder's: {page}");
    sidecar.stop();
    sidecar.ended().await;
}
