//! The figures of the page equal those of `/metrics`.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};
use streamgauge::collector::FakeReader;
use streamgauge_simulate as simulate;

use super::{
    browser::Browser,
    process::PATIENCE,
    scrape::Scrape,
    sidecar::{Sidecar, config, simulator},
};

/// Every figure on the page by its element, and every outcome.
const FIGURES: &str = "Object.fromEntries([...document.querySelectorAll('data')].map((one) => \
                       [one.dataset.outcome || one.id, one.value === '' ? null : Number(one.value)]))";

fn near(found: &Value, wanted: Option<f64>, what: &str) {
    let (found, wanted) = (found.as_f64(), wanted);
    let same = match (found, wanted) {
        (Some(found), Some(wanted)) => (found - wanted).abs() <= 1e-9 * wanted.abs(),
        (found, wanted) => found == wanted,
    };
    assert!(same, "{what}: {found:?} on the page, {wanted:?} in /metrics");
}

async fn traffic(sidecar: &Sidecar) {
    for _ in 0..3 {
        sidecar.chat("sim", "").await;
    }
    join_all((0..6).map(|_| sidecar.chat("sim", ""))).await;
    join_all(["truncate", "error", "reset"].map(|fault| sidecar.chat("sim", fault))).await;
    sidecar.chat("nobody", "").await;
    let hung_up = sidecar.ask("/api/generate", json!({"model": "sim", "prompt": "x"}), "").await.unwrap();
    drop(hung_up.bytes_stream().next().await);
}

/// Everything that the traffic began has ended.
async fn settled(sidecar: &Sidecar) -> Scrape {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let scrape = sidecar.scrape().await;
        let ended = scrape.by("requests_total", "outcome");
        if ended.values().sum::<f64>() >= 14.0 && ended.get("client_abort") == Some(&1.0) {
            return scrape;
        }
        assert!(Instant::now() < deadline, "{ended:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_figures_equal_metrics() {
    let upstream = simulator(simulate::Config {
        rate: 100.0,
        parallel: 2,
        load_time: Duration::from_millis(300),
        ..simulate::Config::default()
    });
    let mut config = config(upstream);
    // Long intervals, so that a page and a scrape can show the same readings.
    config.collectors.lag = Some(Duration::from_secs(3));
    config.collectors.gpu = Some(Duration::from_millis(100));
    let reader = FakeReader::new(2).load(|| 0.5);
    let sidecar = Sidecar::built(streamgauge::sidecar::Sidecar::builder().config(config).gpus(reader)).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    traffic(&sidecar).await;
    let scrape = settled(&sidecar).await;
    let ended: f64 = scrape.by("requests_total", "outcome").values().sum();
    let page = figures(&browser, ended).await;

    let outcomes = scrape.by("requests_total", "outcome");
    for outcome in
        ["complete", "in_band_error", "truncated", "upstream_error", "client_error", "client_abort"]
    {
        assert!(outcomes[outcome] > 0.0, "{outcome} was to be shown: {outcomes:?}");
        near(&page[outcome], outcomes.get(outcome).copied(), outcome);
    }
    // An outcome that did not occur may have no series.
    let failed = ["in_band_error", "truncated", "upstream_error", "late_error"];
    let failed: f64 = failed.iter().filter_map(|outcome| outcomes.get(*outcome)).sum();
    near(&page["failed"], Some(failed / ended), "failed");
    let records = scrape.by("records_total", "kind");
    let content = ["content", "thinking", "tool_call"].iter().filter_map(|kind| records.get(*kind)).sum();
    near(&page["tokens"], Some(content), "tokens");
    for (name, metric, labels) in [
        ("first_token", "time_to_first_token_seconds", &[][..]),
        ("hidden", "phase_seconds", &[("phase", "queue")]),
    ] {
        for (q, part) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            let wanted = scrape.quantile(part, metric, labels);
            assert!(wanted.is_some_and(|value| value > 0.0), "{metric} was to be shown");
            near(&page[format!("{name}-{q}")], wanted, &format!("{name} {q}"));
        }
    }
    // The page has finer buckets for gaps. Its quantile must be in the bucket of `/metrics` with the same quantile.
    for (q, part) in [("p50", 0.5), ("p99", 0.99)] {
        let (lower, upper) = scrape.bucket(part, "chunk_gap_seconds", &[("at", "upstream")]).unwrap();
        let shown = page[format!("gap-{q}")].as_f64().unwrap();
        assert!(
            (lower..=upper).contains(&shown),
            "gap {q}: {shown} on the page, {lower} to {upper} in /metrics"
        );
    }
    let in_flight = scrape.sum("requests_in_flight", &[("route", "chat")]);
    near(&page["running"], Some(in_flight), "running");
    near(&page["queued"], Some(scrape.sum("queue_depth", &[])), "queued");
    near(&page["busy"], Some(scrape.sum("gpu_utilization_ratio", &[]) / 2.0), "GPUs busy");
    near(&page["watts"], Some(scrape.sum("gpu_power_watts", &[])), "GPUs' power");
    assert!(browser.text("#gpu-card").await.contains("fake GPU"));
    energy_agrees(&page, &scrape);
    tables_agree(&browser, &scrape).await;

    curve_is_described(&browser, &scrape).await;
    assert_eq!(browser.complaints().await, [""; 0]);
    lag_agrees(&browser, &sidecar).await;
}

/// The figures of the page once it shows so many ended requests.
async fn figures(browser: &Browser, ended: f64) -> Value {
    browser.until(&format!("document.getElementById('ended').value === '{ended}'")).await;
    // Energy takes two readings of the history.
    browser.until(&format!("({FIGURES}).joules_per_token !== null")).await;
    browser.value(FIGURES).await
}

/// Energy goes on, so that the scrape is a little older or newer than the page.
fn energy_agrees(page: &Value, scrape: &Scrape) {
    let joules = page["joules_per_token"].as_f64().unwrap();
    let wanted =
        scrape.sum("gpu_energy_joules_total", &[]) / scrape.sum("tokens_total", &[("kind", "output")]);
    assert!((joules / wanted - 1.0).abs() < 0.5, "{joules} J a token on the page, {wanted} in /metrics");
}

/// The tables of models, upstreams and callers count what `/metrics` counts.
async fn tables_agree(browser: &Browser, scrape: &Scrape) {
    for (table, metric, label) in [
        ("models", "requests_total", "model"),
        ("upstreams", "requests_total", "upstream"),
        ("callers", "caller_requests_total", "caller"),
    ] {
        let rows = format!(
            "Object.fromEntries([...document.querySelectorAll('#{table}-table tbody tr')].map((row) => \
             [row.cells[0].innerText, Number(row.cells[{}].innerText)]))",
            match table {
                "callers" | "models" => 2,
                _ => 3,
            }
        );
        let shown = browser.value(&rows).await;
        for (name, requests) in scrape.by(metric, label).into_iter().filter(|(_, requests)| *requests > 0.0) {
            near(&shown[&name], Some(requests), &format!("requests of {name} in {table}"));
        }
    }
}

/// The curve is also described in words, which must match the same sums.
async fn curve_is_described(browser: &Browser, scrape: &Scrape) {
    let tokens = scrape.by("concurrency_tokens_total", "streams");
    let seconds = scrape.by("concurrency_seconds_total", "streams");
    let levels: Vec<_> = ["1", "2"].iter().filter(|band| seconds[**band] >= 1.0).collect();
    assert!(!levels.is_empty(), "{seconds:?}");
    let said = browser.value("document.querySelector('#curve-card svg').ariaLabel").await;
    for band in levels {
        let rate = tokens[*band] / seconds[*band];
        // Three digits, without a zero at the end of a fraction.
        let digits: f64 = format!("{rate:.2e}").parse().unwrap();
        assert!(said.as_str().unwrap().contains(&format!(" {digits}/s")), "{band}: {rate}; {said}");
    }
}

/// The probes of lag continue, so the page shows one of the moments that the test has seen.
async fn lag_agrees(browser: &Browser, sidecar: &Sidecar) {
    let (mut seen, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    loop {
        let scrape = sidecar.scrape().await;
        seen.push(scrape.quantile(0.99, "runtime_lag_seconds", &[("runtime", "main")]));
        let page = browser.value(FIGURES).await["lag-p99"].as_f64();
        let same =
            |lag: &Option<f64>| lag.zip(page).is_some_and(|(lag, page)| (lag - page).abs() <= 1e-9 * lag);
        if seen.iter().any(same) {
            break;
        }
        assert!(Instant::now() < deadline, "{page:?} is none of {seen:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium; tests/real/install.sh"]
async fn page_lists_stream_while_it_runs() {
    let slow = simulate::Config {
        rate: 5.0,
        tokens: 1000,
        load_time: Duration::ZERO,
        ..simulate::Config::default()
    };
    let sidecar = Sidecar::start(config(simulator(slow))).await;
    let browser = Browser::start().await;
    browser.open(sidecar.admin).await;
    assert!(browser.text("#now-none").await.contains("No stream is running"));
    let ask = || async {
        let body = json!({"model": "sim", "prompt": "x"});
        let mut stream = sidecar.ask("/api/generate", body, "").await.unwrap().bytes_stream();
        stream.next().await.unwrap().unwrap();
        stream
    };
    let streams = (ask().await, ask().await);
    browser.until("document.getElementById('running').value === '2'").await;
    browser.until("document.getElementById('decoding').value === '2'").await;
    let scrape = sidecar.scrape().await;
    assert_eq!(scrape.sum("requests_in_flight", &[("route", "generate")]), 2.0);
    let table = browser.text("#now-table").await;
    assert_eq!(table.matches("sim:latest").count(), 2, "{table}");
    drop(streams);
    browser.until("document.getElementById('running').value === '0'").await;
}
