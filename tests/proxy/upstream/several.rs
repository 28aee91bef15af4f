//! Several upstreams: the choice among them, their merged lists, and upstreams that fail.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use streamgauge::{
    sidecar::Config,
    upstream::{Policy, UpstreamConfig},
};
use streamgauge_simulate::{self as simulate, Simulator, Truth};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use crate::harness::*;

/// A simulated Ollama that can be killed.
pub(super) struct Simulated {
    pub(super) addr: SocketAddr,
    pub(super) truth: Arc<Truth>,
    run: JoinHandle<()>,
}

impl Simulated {
    pub(super) fn start(config: simulate::Config) -> Simulated {
        let bound = Simulator::bind(config).unwrap();
        let (addr, truth) = (bound.addr(), bound.truth());
        Simulated { addr, truth, run: tokio::spawn(bound.run(std::future::pending())) }
    }

    /// Closes its port and cuts every connection.
    pub(super) async fn kill(&self) {
        self.run.abort();
        while !self.run.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn generated(&self) -> u64 {
        self.truth.requests("/api/generate")
    }
}

fn with_models(models: &[&str]) -> simulate::Config {
    let models = models.iter().map(|model| (*model).to_owned()).collect();
    simulate::Config { models, ..quick() }
}

pub(super) fn quick() -> simulate::Config {
    simulate::Config {
        rate: 0.0,
        load_time: Duration::ZERO,
        prefill_rate: 0.0,
        tokens: 20,
        ..simulate::Config::default()
    }
}

/// Uses these upstreams in turn. They are probed once.
pub(super) fn in_turn(upstreams: &[SocketAddr]) -> Config {
    let mut config = config(upstreams[0]);
    let upstreams = upstreams.iter().enumerate();
    config.upstream.upstreams = upstreams
        .map(|(place, addr)| {
            UpstreamConfig::new(format!("gpu{place}"), format!("http://{addr}").parse().unwrap())
        })
        .collect();
    config.upstream.choose = Policy::RoundRobin;
    config.upstream.health_interval = Duration::from_secs(3600);
    config
}

pub(super) async fn up(config: Config) -> Sidecar {
    let count = config.upstream.upstreams.len();
    let sidecar = sidecar(config).await;
    for place in 0..count {
        sidecar.until(&format!("upstream_up{{upstream=\"gpu{place}\"}}"), 1.0).await;
    }
    sidecar
}

/// The status, and the body unless it broke off.
pub(super) async fn ask(sidecar: &Sidecar, path: &str, body: &Value) -> (u16, Option<String>) {
    let client = reqwest::Client::new();
    let response = client.post(format!("http://{}{path}", sidecar.proxy)).json(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.ok())
}

async fn get(sidecar: &Sidecar, path: &str) -> Value {
    let response = reqwest::get(format!("http://{}{path}", sidecar.proxy)).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    response.json().await.unwrap()
}

fn names(list: &Value, place: &str, field: &str) -> Vec<String> {
    let models = list[place].as_array().unwrap();
    let mut names: Vec<_> = models.iter().map(|model| model[field].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn model_lists_of_upstreams_are_merged() {
    let one = Simulated::start(with_models(&["a:latest", "both:latest"]));
    let other = Simulated::start(with_models(&["b:latest", "both:latest"]));
    let mut config = in_turn(&[one.addr, other.addr]);
    config.upstream.primary = Some("gpu1".to_owned());
    config.upstream.choose = Policy::ModelAware;
    let sidecar = up(config).await;

    let all = ["a:latest", "b:latest", "both:latest"];
    let tags = get(&sidecar, "/api/tags").await;
    assert_eq!(names(&tags, "models", "name"), all);
    let alone: Value =
        reqwest::get(format!("http://{}/api/tags", one.addr)).await.unwrap().json().await.unwrap();
    let as_told = |list: &Value| {
        list["models"].as_array().unwrap().iter().find(|model| model["name"] == "a:latest").cloned()
    };
    assert_eq!(as_told(&tags), as_told(&alone));
    assert_eq!(names(&get(&sidecar, "/v1/models").await, "data", "id"), all);
    assert_eq!(get(&sidecar, "/api/ps").await, json!({"models": []}));
    // A page that Ollama allows may read this response.
    let origin = "Origin: http://localhost:3000\r\nConnection: close\r\n";
    let seen = sidecar.exchange(&format!("HEAD /api/tags HTTP/1.1\r\nHost: h\r\n{origin}\r\n")).await;
    assert!(seen.contains("access-control-allow-origin: http://localhost:3000\r\n"), "{seen}");
    let head = sidecar.exchange("HEAD /api/tags HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    sidecar
        .until("requests_total{upstream=\"none\",route=\"tags\",model=\"none\",outcome=\"complete\"}", 3.0)
        .await;

    // Requests for each model go to its upstream, including those with the model in the path.
    for model in ["a", "b"] {
        assert_eq!(ask(&sidecar, "/api/generate", &json!({"model": model})).await.0, 200);
        assert_eq!(ask(&sidecar, "/api/show", &json!({"model": model})).await.0, 200);
        let path = format!("http://{}/v1/models/{model}", sidecar.proxy);
        assert_eq!(reqwest::get(path).await.unwrap().status(), 200);
    }
    assert_eq!((one.generated(), other.generated()), (1, 1));
    assert_eq!(names(&get(&sidecar, "/api/ps").await, "models", "name"), ["a:latest", "b:latest"]);

    // A model that was created a moment ago exists, and requests for it go to its upstream.
    let copy = json!({"source": "b", "destination": "copied"});
    assert_eq!(ask(&sidecar, "/api/copy", &copy).await.0, 200);
    assert_eq!((one.truth.requests("/api/copy"), other.truth.requests("/api/copy")), (0, 1));
    assert_eq!(ask(&sidecar, "/api/generate", &json!({"model": "copied"})).await.0, 200);
    assert!(names(&get(&sidecar, "/api/tags").await, "models", "name").contains(&"copied:latest".to_owned()));
    let delete = reqwest::Client::new().delete(format!("http://{}/api/delete", sidecar.proxy));
    assert_eq!(delete.json(&json!({"model": "copied"})).send().await.unwrap().status(), 200);
    assert_eq!(names(&get(&sidecar, "/api/tags").await, "models", "name"), all);

    // An upstream that is down is left out of the list. The other one answers.
    one.kill().await;
    assert_eq!(ask(&sidecar, "/api/generate", &json!({"model": "both"})).await.0, 200);
}

#[tokio::test]
async fn model_list_of_single_upstream_is_forwarded() {
    let only = Simulated::start(quick());
    let sidecar = up(in_turn(&[only.addr])).await;
    let asked = only.truth.requests("/api/tags");
    get(&sidecar, "/api/tags").await;
    get(&sidecar, "/api/tags").await;
    assert_eq!(only.truth.requests("/api/tags"), asked + 2, "they are its own");
}

#[tokio::test]
async fn unsent_request_is_retried_whole_on_another_upstream() {
    let (gone, there) = (Simulated::start(quick()), Simulated::start(quick()));
    let mut config = in_turn(&[gone.addr, there.addr]);
    config.proxy.peek_limit = 64 << 10;
    let sidecar = up(config).await;
    gone.kill().await;
    // A body that is read ahead completely, and one that is far longer.
    for (place, length) in [10, 3 << 20].into_iter().enumerate() {
        let body = json!({"model": "sim", "prompt": "p".repeat(length)});
        for _ in 0..2 {
            let (status, text) = ask(&sidecar, "/api/generate", &body).await;
            assert_eq!(status, 200, "{text:?}");
            assert!(text.unwrap().contains("\"done\":true"));
        }
        assert_eq!(there.generated(), 2 * (place as u64 + 1), "each once");
        if place == 0 {
            // Its breaker is open by now for so long that the next failure would be another request's.
            let to = |upstream: &str| {
                format!(
                    "requests_total{{upstream=\"{upstream}\",route=\"generate\",model=\"sim:latest\",outcome=\"complete\"}}"
                )
            };
            sidecar.until(&to("gpu1"), 2.0).await;
            assert_eq!(sidecar.value(&to("gpu0")), 0.0);
        }
    }
    sidecar.until("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}", 0.0).await;
    sidecar.until("requests_in_flight{upstream=\"gpu1\",route=\"generate\"}", 0.0).await;
}

#[tokio::test]
async fn unsent_request_without_read_ahead_is_retried_whole() {
    let (gone, there) = (Simulated::start(quick()), Simulated::start(quick()));
    let mut config = in_turn(&[gone.addr, there.addr]);
    config.proxy.peek_limit = 1 << 10;
    let sidecar = up(config).await;
    gone.kill().await;
    let body = json!({"model": "sim", "prompt": "p".repeat(3 << 20)});
    let (status, text) = ask(&sidecar, "/api/generate", &body).await;
    assert_eq!((status, there.generated()), (200, 1), "{text:?}");
}

#[tokio::test]
async fn retried_request_that_is_refused_counts_once_in_admission() {
    let (gone, mut full) = (Simulated::start(quick()), upstream().await);
    let mut config = in_turn(&[gone.addr, full.addr]);
    config.upstream.upstreams[1].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 0;
    let sidecar = up(config).await;
    // In turn: the first response ends, and the other takes the only slot. The requests name no model, since a
    // model that no upstream lists would cause a probe, which would find the dead upstream.
    let request = post("/api/generate", "{}");
    let _running = [sidecar.send(&request).await, sidecar.send(&request).await];
    let _held = full.asked().await;
    sidecar.until("admission_total{decision=\"admitted\",reason=\"none\"}", 2.0).await;
    gone.kill().await;
    for _ in 0..2 {
        let seen = sidecar.exchange(&post_once("/api/generate", "{}")).await;
        assert!(seen.starts_with("HTTP/1.1 503 ") && seen.contains("queue is full"), "{seen}");
    }
    // One of them went to the dead upstream first. The other did not, since the breaker was open by then.
    assert_eq!(sidecar.value("admission_total{decision=\"admitted\",reason=\"none\"}"), 3.0);
    assert_eq!(sidecar.value("admission_total{decision=\"refused\",reason=\"queue_full\"}"), 1.0);
}

/// An upstream that lists its installed and loaded models once and fails to do so afterwards. Other requests are
/// returned.
async fn lists_once() -> (SocketAddr, mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (seen, requests) = mpsc::channel(64);
    tokio::spawn(async move {
        let (mut has_listed, mut has_loaded) = (false, false);
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let (status, body) = match head.split(' ').nth(1) {
                Some("/api/tags") if std::mem::replace(&mut has_listed, true) => {
                    (503, "{\"error\":\"busy\"}")
                }
                Some("/api/ps") if std::mem::replace(&mut has_loaded, true) => (503, "{\"error\":\"busy\"}"),
                Some("/api/tags") => (200, "{\"models\":[{\"name\":\"only:latest\"}]}"),
                Some("/api/version") => (200, "{\"version\":\"0.34.3\"}"),
                Some("/api/ps") => (200, "{\"models\":[{\"name\":\"only:latest\",\"size\":5}]}"),
                _ => {
                    seen.send(Asked { head, stream }).await.unwrap();
                    continue;
                }
            };
            let answer = format!(
                "HTTP/1.1 {status} OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (addr, requests)
}

#[tokio::test]
async fn failed_list_of_loaded_models_keeps_last_list() {
    let (addr, _requests) = lists_once().await;
    let mut config = in_turn(&[addr]);
    config.upstream.health_interval = Duration::from_millis(20);
    config.collectors.models = Some(Duration::from_millis(20));
    let sidecar = up(config).await;
    let stale = async {
        while !sidecar.page("/overview").await.1.contains("\"loaded_stale\":true") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stale).await.expect("the list fails");
    let overview = sidecar.page("/overview").await.1;
    assert!(overview.contains("\"loaded\":[\"only:latest\"]"), "{overview}");
    sidecar.until("model_size_bytes{upstream=\"gpu0\",model=\"only:latest\"}", 5.0).await;
}

#[tokio::test]
async fn failed_list_of_models_keeps_last_list() {
    let (addr, mut requests) = lists_once().await;
    let other = Simulated::start(quick());
    let mut config = in_turn(&[addr, other.addr]);
    config.upstream.choose = Policy::ModelAware;
    config.upstream.health_interval = Duration::from_millis(20);
    let sidecar = up(config).await;
    let stale = async {
        while !sidecar.page("/overview").await.1.contains("\"models_stale\":true") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stale).await.expect("the list fails");
    let tags = get(&sidecar, "/api/tags").await;
    assert!(names(&tags, "models", "name").contains(&"only:latest".to_owned()), "{tags}");
    for _ in 0..4 {
        let client = sidecar.send(&post_once("/api/show", "{\"model\":\"only\"}")).await;
        let mut asked = soon(requests.recv()).await.unwrap();
        asked.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}").await;
        assert!(client.rest().await.ends_with("{}"));
    }
    assert_eq!(sidecar.value("upstream_up{upstream=\"gpu0\"}"), 1.0);
}

#[tokio::test]
async fn request_that_may_have_started_is_not_retried() {
    let (mut first, mut second) = (upstream().await, upstream().await);
    let sidecar = up(in_turn(&[first.addr, second.addr])).await;
    let mut client = sidecar.send(&generate()).await;
    let mut asked = tokio::select! { asked = first.asked() => asked, asked = second.asked() => asked };
    asked.body(13).await;
    drop(asked);
    let seen = client.until("}").await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
    first.was_not_asked();
    second.was_not_asked();
}

#[tokio::test]
async fn killed_wedged_and_slow_upstreams_lose_and_repeat_no_request() {
    let slow_stream = simulate::Config { rate: 200.0, jitter: 0.0, contention: 0.0, parallel: 64, ..quick() };
    let killed = Simulated::start(simulate::Config { tokens: 10_000, ..slow_stream.clone() });
    let wedged = Simulated::start(simulate::Config {
        faults: "stall=1:1000s".parse().unwrap(),
        ..slow_stream.clone()
    });
    let slow =
        Simulated::start(simulate::Config { faults: "slow-head=1:300ms".parse().unwrap(), ..slow_stream });
    let all = [&killed, &wedged, &slow];
    let mut config = in_turn(&all.map(|one| one.addr));
    config.upstream.silence_timeout = Duration::from_secs(1);
    config.upstream.response_timeout = Duration::from_secs(10);
    let sidecar = Arc::new(up(config).await);
    let request = json!({"model": "sim", "prompt": "why"});

    let first: Vec<_> = (0..12)
        .map(|_| {
            let (sidecar, request) = (sidecar.clone(), request.clone());
            tokio::spawn(async move { ask(&sidecar, "/api/generate", &request).await })
        })
        .collect();
    killed.truth.until(|truth| truth.started() == 4).await;
    wedged.truth.until(|truth| truth.started() == 4).await;
    killed.kill().await;
    let mut whole = 0;
    for answer in first {
        let (status, text) = answer.await.unwrap();
        // A stream that broke off never looks complete.
        assert_eq!(status, 200);
        whole += usize::from(text.is_some_and(|text| text.contains("\"done\":true")));
    }
    assert_eq!(whole, 4, "those of the slow one");
    assert_eq!(all.map(Simulated::generated), [4, 4, 4], "each was sent once");

    // Both breakers are open.
    for _ in 0..8 {
        let (status, text) = ask(&sidecar, "/api/generate", &request).await;
        assert!(status == 200 && text.unwrap().contains("\"done\":true"));
    }
    assert_eq!(all.map(Simulated::generated), [4, 4, 12]);
    for (outcome, count) in [("complete", 12.0), ("upstream_error", 8.0)] {
        let sum = || {
            let of = |place| {
                format!(
                    "requests_total{{upstream=\"gpu{place}\",route=\"generate\",model=\"sim:latest\",outcome=\"{outcome}\"}}"
                )
            };
            (0..3).map(|place| sidecar.value(&of(place))).sum::<f64>()
        };
        assert_eq!(sum(), count, "{outcome}");
    }
}

#[tokio::test]
async fn upstream_that_recovers_is_used_again_without_failed_request() {
    let (away, there) = (Simulated::start(quick()), Simulated::start(quick()));
    let sidecar = up(in_turn(&[away.addr, there.addr])).await;
    away.kill().await;
    let request = json!({"model": "sim"});
    for _ in 0..4 {
        assert_eq!(ask(&sidecar, "/api/generate", &request).await.0, 200);
    }
    let back = Simulated::start(simulate::Config { listen: away.addr, ..quick() });
    let asked = async {
        while back.generated() < 3 {
            assert_eq!(ask(&sidecar, "/api/generate", &request).await.0, 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(asked).await;
}

#[tokio::test]
async fn breaker_opens_if_generations_time_out_despite_other_answers() {
    let faults = "slow-head=1:1000s".parse().unwrap();
    let (wedged, works) =
        (Simulated::start(simulate::Config { faults, ..quick() }), Simulated::start(quick()));
    let mut config = in_turn(&[wedged.addr, works.addr]);
    config.upstream.response_timeout = Duration::from_millis(300);
    let sidecar = up(config).await;
    let (chat, show) = (json!({"model": "sim", "messages": []}), json!({"model": "sim"}));
    let mut timeouts = 0;
    for _ in 0..24 {
        let (status, _) = ask(&sidecar, "/api/chat", &chat).await;
        timeouts += usize::from(status == 504);
        // One of these two goes to the wedged upstream, as long as its breaker is closed.
        for _ in 0..2 {
            assert_eq!(ask(&sidecar, "/api/show", &show).await.0, 200);
        }
    }
    assert_eq!(timeouts, 3);
}

#[tokio::test]
#[ignore = "a minute of silence, by which a wedged upstream is known"]
async fn wedged_upstream_is_left_without_a_timeout_though_it_answers_other_requests() {
    let faults = "stall=1:1000s".parse().unwrap();
    let wedged = Simulated::start(simulate::Config { faults, parallel: 16, ..quick() });
    let works = Simulated::start(quick());
    let sidecar = Arc::new(up(in_turn(&[wedged.addr, works.addr])).await);
    let chat = || json!({"model": "sim", "messages": [{"role": "user", "content": "why"}]});
    let mut hang = JoinSet::new();
    for _ in 0..24 {
        let sidecar = sidecar.clone();
        hang.spawn(async move { ask(&sidecar, "/api/chat", &chat()).await.0 });
    }
    soon(works.truth.until(|truth| truth.ended() == 12)).await;
    soon(wedged.truth.until(|truth| truth.requests("/api/chat") == 12)).await;
    assert_eq!(wedged.truth.ended(), 0, "they take turns, and half of them hang");
    let is_wedged = async {
        while sidecar.value("upstream_wedged_total{upstream=\"gpu0\"}") == 0.0 {
            // Half of these go to the wedged one, and it answers them.
            assert_eq!(ask(&sidecar, "/api/show", &json!({"model": "sim"})).await.0, 200);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), is_wedged).await.expect("it is silent for a minute");
    for _ in 0..24 {
        assert_eq!(ask(&sidecar, "/api/chat", &chat()).await.0, 200);
    }
    assert_eq!((wedged.truth.requests("/api/chat"), works.truth.ended()), (12, 36), "it got no chat more");
}
