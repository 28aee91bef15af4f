//! A Prometheus with prepared blocks.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::process::{Process, cache};

const DAY: u64 = 24 * 3600;

pub(crate) struct Prometheus {
    url: String,
    client: reqwest::Client,
    _process: Process,
}

impl Prometheus {
    pub(crate) fn start(folder: &Path, data: &Path) -> Prometheus {
        let file = folder.join("prometheus.yml");
        fs::write(&file, "global: {scrape_interval: 15s}\n").unwrap();
        let mut command = Command::new(cache("bin/prometheus"));
        command.arg("--config.file").arg(file).arg("--storage.tsdb.path").arg(data);
        command.args(["--web.listen-address=127.0.0.1:0", "--log.level=info", "--query.timeout=10m"]);
        let process = Process::start(&mut command, folder.join("prometheus.log"));
        let url = format!("http://{}", process.address("address="));
        process.find(|line| line.contains("ready to receive web requests").then_some(()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Prometheus { url, client, _process: process }
    }

    /// Writes the series that the recording rules would have recorded.
    pub(crate) fn record(&self, data: &Path, end: u64) {
        let mut promtool = Command::new(cache("bin/promtool"));
        promtool
            .args(["tsdb", "create-blocks-from", "rules", "--eval-interval=60s", "--url", &self.url])
            .arg(format!("--start={}", end - DAY))
            .arg(format!("--end={end}"))
            .arg(format!("--output-dir={}", data.display()))
            .arg("prometheus/rules/recording.yml");
        let output = promtool.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The CPU time of the process so far, in seconds.
    pub(crate) async fn cpu(&self) -> f64 {
        let page =
            self.client.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
        line.unwrap().parse().unwrap()
    }

    /// Returns the time of a query over the day, and the number of series in its result.
    pub(crate) async fn range(&self, expr: &str, end: u64, step: u64) -> (Duration, usize) {
        let (start, end, step) = ((end - DAY).to_string(), end.to_string(), step.to_string());
        let asked = [("query", expr), ("start", &start), ("end", &end), ("step", &step)];
        let url =
            reqwest::Url::parse_with_params(&format!("{}/api/v1/query_range", self.url), asked).unwrap();
        let began = Instant::now();
        let answer = self.client.get(url).send().await.unwrap().bytes().await.unwrap();
        let took = began.elapsed();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{expr}: {answer}"));
        (took, series.len())
    }
}
