//! The page names a problem, and names from outside stay text.

use std::{process::Command, time::Duration};

use futures_util::StreamExt;
use serde_json::{Value, json};
use streamgauge_simulate as simulate;

use super::{
    browser::Browser,
    nvml::{BUSY, HOT, Nvml},
    process::{Process, scratch},
    sidecar::{Sidecar, config, simulator},
    wait::until_async,
};

/// A name that would run as a script if it were markup.
const HOSTILE: &str = "\"><script>document.title='owned'<img src=x onerror=document.title='owned'>:1";

fn quick(models: &[&str]) -> simulate::Config {
    simulate::Config {
        models: models.iter().map(|model| (*model).to_owned()).collect(),
        load_time: Duration::ZERO,
        rate: 5.0,
        tokens: 1000,
        ..simulate::Config::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_shows_hostile_model_name_as_text() {
    let sidecar = Sidecar::start(config(simulator(quick(&[HOSTILE])))).await;
    let body = json!({"model": HOSTILE, "prompt": "x"});
    let mut stream = sidecar.ask("/api/generate", body, "").await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();

    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    // In the table, and in the upstream's loaded models.
    let places = ["#now-table td", "#upstreams li"];
    for place in places {
        let there = format!(
            "[...document.querySelectorAll({})].some((one) => one.innerText.includes({}))",
            json!(place),
            json!(HOSTILE)
        );
        browser.until(&there).await;
    }
    assert_eq!(browser.value("document.title").await, "streamgauge");
    assert_eq!(browser.value("document.querySelectorAll('script').length").await, 1);
    assert_eq!(browser.value("document.querySelectorAll('img').length").await, 0);
    assert_eq!(browser.complaints().await, [""; 0]);

    // As pages of their own, the other two paths are not markup either.
    for path in ["/streams", "/overview", "/metrics"] {
        browser.visit(&format!("http://{}{path}", sidecar.admin)).await;
        assert!(browser.text("body").await.contains("<script>document.title="), "{path}");
        assert_ne!(browser.value("document.title").await, "owned", "{path}");
        assert_eq!(browser.value("document.querySelectorAll('img').length").await, 0, "{path}");
    }
    let streams: Value = serde_json::from_str(&sidecar.page("/streams").await).unwrap();
    assert_eq!(streams["streams"][0]["model"], HOSTILE);
    let label = format!("model=\"{}\"", HOSTILE.replace('"', "\\\""));
    assert!(sidecar.page("/metrics").await.contains(&label));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_shows_upstream_that_is_down_and_lost_sidecar() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sidecar = Sidecar::start(config(nobody)).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    browser.until("document.getElementById('reasons').innerText.includes('No answer from gpu0')").await;
    let reasons = browser.text("#reasons").await;
    assert!(reasons.contains(&nobody.to_string()) && reasons.contains("Does Ollama run there"), "{reasons}");
    assert_eq!(browser.text("#state").await, "Not healthy");
    for (card, why) in [
        ("first_token", "No data. No token arrived in this time range."),
        ("gap", "No data. No stream had two chunks"),
        ("hidden", "No data. No stream ended"),
        ("curve", "No data. No stream decoded"),
        ("outcomes", "No data. No request ended"),
    ] {
        let text = browser.text(&format!("#{card}-none")).await;
        assert!(text.starts_with(why), "{card}: {text}");
    }

    // Without a GPU there is no card, but the reason.
    assert!(browser.text("#nogpu").await.starts_with("GPU: collectors.gpu is off"));
    assert_eq!(browser.value("document.getElementById('gpu-card').hidden").await, true);

    // Prometheus is absent at first, then it scrapes, and then it stops.
    browser
        .until("document.getElementById('scraped').innerText === 'No client has read /metrics yet.'")
        .await;
    let _ = sidecar.scrape().await;
    browser.until("document.getElementById('scraped').innerText.startsWith('/metrics was last read ')").await;
    let gone = browser.value("(scraped(121), document.getElementById('scraped').innerText)").await;
    assert_eq!(gone, "No client has read /metrics for 2\u{202f}min 1\u{202f}s. Is Prometheus running?");

    // Ollama starts, and the page recovers without a reload.
    let ollama = simulate::Config { listen: nobody, ..quick(&["sim:latest"]) };
    let _ = simulator(ollama);
    browser.until("document.getElementById('state').innerText === 'Ready'").await;
    browser.until("document.querySelector('#upstreams .up') !== null").await;

    sidecar.stop().await;
    browser.until("document.body.classList.contains('old')").await;
    assert!(browser.text("#reasons").await.contains("has not answered since"));
    assert_eq!(browser.text("#state").await, "No answer from the sidecar");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_without_traffic_shows_a_command_that_works() {
    let model = "it's:latest";
    let sidecar = Sidecar::start(config(simulator(quick(&[model])))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    browser.until("document.getElementById('command').innerText.includes('it')").await;
    let command = browser.text("#command").await;
    assert!(command.starts_with(&format!("curl http://{}/api/generate -d ", sidecar.proxy)), "{command}");
    let run = format!("{command} -s --max-time 2 | head -1");
    let output = std::process::Command::new("bash").args(["-c", &run]).output().unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["model"], model);
    // The command goes once there was a request.
    browser.until("document.getElementById('begin').className === 'hidden'").await;
    browser.until("document.getElementById('begin').offsetParent === null").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_says_what_is_wrong_and_who_is_affected() {
    let short = simulate::Config { rate: 100.0, tokens: 20, ..quick(&["sim:latest"]) };
    let sidecar = Sidecar::start(config(simulator(short))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    for fault in ["truncate", "reset"] {
        sidecar.chat("sim", fault).await;
    }
    browser.until("document.getElementById('state').innerText === 'Not healthy'").await;
    let reasons = browser.text("#reasons").await;
    assert!(
        reasons.contains("2 of 2 requests failed") && reasons.contains("of sim:latest at gpu0"),
        "{reasons}"
    );
    let failures = browser.text("#requests-table").await;
    assert!(failures.contains("truncated") && failures.contains("without its last record"), "{failures}");
    assert_eq!(browser.value("document.querySelectorAll('#requests-table tbody tr').length").await, 2);
    // The chosen range is asked for, and kept in the address.
    browser.value("document.querySelector('#range input[value=\"60\"]').click()").await;
    browser.until("newest.range_seconds === 60").await;
    assert_eq!(browser.value("location.hash").await, "#60");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_says_why_a_model_is_loaded_again_and_again() {
    let loading = simulate::Config {
        rate: 100.0,
        tokens: 5,
        load_time: Duration::from_millis(600),
        ..quick(&["sim:latest"])
    };
    let sidecar = Sidecar::start(config(simulator(loading))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    for _ in 0..4 {
        let body = json!({"model": "sim", "prompt": "x", "keep_alive": 0});
        sidecar.ask("/api/generate", body, "").await.unwrap().bytes().await.unwrap();
        // The sidecar sees that the model has gone.
        let loaded = "model_loaded{upstream=\"gpu0\",model=\"sim:latest\"} 1";
        until_async("the model has gone", async || !sidecar.page("/metrics").await.contains(loaded)).await;
    }
    browser.until("document.getElementById('reasons').innerText.includes('4 times for 4 requests')").await;
    let reasons = browser.text("#reasons").await;
    assert!(
        reasons.contains("Ollama loaded sim:latest") && reasons.contains("keep_alive had ended"),
        "{reasons}"
    );
    let told = "All of the last 3 loads came after a request of caller anonymous with keep_alive 0\u{202f}s.";
    assert!(reasons.contains(told), "{reasons}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_names_what_throttles_a_gpu_and_no_normal_power_cap() {
    let (folder, nvml) = (scratch(), Nvml::build(BUSY));
    let upstream = format!("http://{}", simulator(quick(&["sim:latest"])));
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", &upstream]);
    nvml.enter(command.env_clear());
    let sidecar = Process::start(&mut command, folder.path().join("serve.log"));
    let browser = Browser::start().await;
    browser.open(sidecar.address("admin=")).await;
    browser.until("document.getElementById('gpus-table').innerText.includes('sw power cap')").await;
    assert_eq!(browser.text("#state").await, "Ready");

    nvml.show(HOT);
    browser.until("document.getElementById('state').innerText === 'Not healthy'").await;
    let reasons = browser.text("#reasons").await;
    let expected = "GPU 0 is slowed down because it is too hot (91 °C), so that its models answer more slowly. Check its cooling.";
    assert!(reasons.contains(expected), "{reasons}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_judges_clients_that_gave_up_slow_clients_and_loads_of_a_busy_model() {
    let sidecar = Sidecar::start(config(simulator(quick(&["sim:latest"])))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    browser.until("document.getElementById('state').innerText === 'Ready'").await;
    browser.value("document.getElementById('pause').click()").await;
    let reasons = async |change: &str| {
        let expression =
            format!("(() => {{ {change}; return reasons().map((one) => one.join(' ')).join(' | '); }})()");
        browser.value(&expression).await.as_str().unwrap().to_owned()
    };
    let left = |after: u32| {
        format!(
            "newest.requests = [{{ outcome: 'client_abort', upstream: 'gpu0', time_to_first_token_seconds: null, \
             duration_seconds: {after}, ago_seconds: 5 }}]"
        )
    };
    assert_eq!(reasons(&left(59)).await, "", "that may be an impatient client");
    let gave_up = reasons(&left(120)).await;
    assert!(gave_up.starts_with("bad 1 client of gpu0 gave up without a token in the last"), "{gave_up}");

    // One in ten requests loads the model: that is too often if it is more than three times in ten minutes.
    let loads = |count: u32| {
        format!(
            "newest.requests = []; newest.span_seconds = 600; newest.range_totals = {{ callers: [], upstreams: [], \
             models: [{{ name: 'sim', loads: {count}, requests: {count}0, load_cause: 'evicted' }}] }}"
        )
    };
    assert_eq!(reasons(&loads(3)).await, "");
    let loaded = reasons(&loads(4)).await;
    assert!(loaded.starts_with("warn Ollama loaded sim 4 times for 40 requests"), "{loaded}");
}
