//! A real Prometheus scrapes the sidecar and answers the dashboards' queries.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    answer::{ask, curl, post},
    ollama::{MODEL, Ollama},
    process::{Process, cache, scratch, until},
    sidecar::Sidecar,
    version::Version,
};

struct Prometheus {
    url: String,
    process: Process,
    _scratch: TempDir,
}

impl Prometheus {
    fn start(target: &str) -> Prometheus {
        let scratch = scratch();
        let file = scratch.path().join("prometheus.yml");
        let targets = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: streamgauge\n  static_configs:\n  - targets: ['{target}']\n"
        );
        fs::write(&file, targets).unwrap();
        let mut command = Command::new(cache("bin/prometheus"));
        command.arg("--config.file").arg(file).arg("--storage.tsdb.path").arg(scratch.path().join("data"));
        command.args(["--web.listen-address=127.0.0.1:0", "--log.level=info"]);
        let process = Process::start(&mut command, scratch.path().join("prometheus.log"));
        let url = format!("http://{}", process.address("address="));
        Prometheus { url, process, _scratch: scratch }
    }

    /// The value of an expression; `None` while it has none.
    fn value(&self, expression: &str) -> Option<f64> {
        let url = format!("{}/api/v1/query", self.url);
        let query = format!("query={expression}");
        let output = curl(&["--get", "--data-urlencode", &query, &url]).output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let value = answer["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().unwrap();
        (!value.is_nan()).then_some(value)
    }

    /// Waits until the value of an expression is accepted.
    fn until(&self, expression: &str, will_do: impl Fn(f64) -> bool) -> f64 {
        until(
            || self.value(expression).filter(|value| will_do(*value)),
            || format!("{expression} is {:?}: {}", self.value(expression), self.process.log()),
        )
    }
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn prometheus_scrapes_sidecar_and_gives_rates_quantiles_and_overlap() {
    let ollama = Ollama::start(Version::NEWEST, 4);
    let sidecar = Sidecar::start(&ollama);
    let prometheus = Prometheus::start(&sidecar.admin);
    prometheus.until("up", |up| up == 1.0);
    thread::scope(|scope| {
        for client in 0..2 {
            let url = &sidecar.url;
            scope.spawn(move || {
                for round in 0..3 {
                    let prompt = format!("Tell story {client}.{round}.");
                    let body = json!({"model": MODEL, "prompt": prompt, "options": {"num_predict": 60}});
                    assert_eq!(post(url, "/api/generate", &body).status, 200);
                }
            });
        }
    });
    for kind in ["prompt", "output"] {
        let selected = format!(r#"streamgauge_tokens_total{{model="{MODEL}:latest",kind="{kind}"}}"#);
        let counted = sidecar.sum("tokens_total", &[&format!(r#"kind="{kind}""#)]);
        prometheus.until(&selected, |value| value == counted);
        prometheus.until(&format!("rate({selected}[5m])"), |rate| rate > 0.0);
    }
    for family in [r#"chunk_gap_seconds_bucket{at="upstream"}"#, "time_to_first_token_seconds_bucket"] {
        let rate = format!("sum by (le) (rate(streamgauge_{family}[5m]))");
        let median = prometheus.until(&format!("histogram_quantile(0.5, {rate})"), |value| value > 0.0);
        let tail = prometheus.until(&format!("histogram_quantile(0.99, {rate})"), f64::is_finite);
        assert!(median <= tail, "{family}: {median} {tail}");
    }
    let overlap =
        "sum(rate(streamgauge_stream_seconds_total[5m])) / sum(rate(streamgauge_busy_seconds_total[5m]))";
    let ratio = prometheus.until(overlap, |ratio| ratio > 1.0);
    assert!(ratio <= 2.05, "two clients cannot overlap {ratio} times");
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn promtool_finds_no_fault_in_scrape() {
    let ollama = Ollama::start(Version::NEWEST, 4);
    let sidecar = Sidecar::start(&ollama);
    for body in [json!({"model": MODEL, "prompt": "Hello."}), json!({"model": "missing", "prompt": "x"})] {
        post(&sidecar.url, "/api/generate", &body);
    }
    ask("GET", &sidecar.url, "/api/tags", None);
    sidecar.until("requests_total", &[], 3.0);

    let mut promtool = Command::new(cache("bin/promtool"));
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(sidecar.metrics().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
