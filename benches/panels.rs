//! How long the dashboards' panels take over 24 hours: `just bench-panels`.
//!
//! A sidecar that has served 16 models by three routes is scraped once; from that a day of scrapes every 15 seconds is
//! made up, written into blocks by promtool, recorded series too, and a real Prometheus is asked every query of every
//! panel as Grafana asks it for 24 hours on 1,000 pixels. `tests/real/install.sh` installs what it needs.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by ending")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]

#[expect(dead_code, reason = "tests read more of the dashboards")]
#[path = "../tests/monitoring/page.rs"]
mod page;
#[path = "../tests/real/process.rs"]
mod process;

#[path = "panels/day.rs"]
mod day;
#[path = "panels/prometheus.rs"]
mod prometheus;
#[path = "panels/sidecar.rs"]
mod sidecar;

use std::{
    io::{Write, stdout},
    time::Duration,
};

use page::dashboards;
use prometheus::Prometheus;

/// As Grafana sets them for 24 hours on 1,000 pixels, scraped every 15 s.
const STEP: u64 = 120;
const RATE_INTERVAL: &str = "135s";
/// Each query so often, and the median counts: Prometheus keeps nothing of an answer.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs it too, to see that it begins.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let exposition = sidecar::exposition().await;
    let series = exposition.lines().filter(|line| !line.starts_with('#')).count();
    let mut out = stdout().lock();
    writeln!(out, "a scrape with 16 models: {} bytes, {series} series", exposition.len()).unwrap();
    out.flush().unwrap();

    let folder = process::scratch();
    let data = folder.path().join("data");
    let end = day::write(&exposition, folder.path(), &data);
    writeln!(out, "a day of it: {:.0} MiB in blocks", day::size(&data) as f64 / f64::from(1 << 20)).unwrap();
    let server = Prometheus::start(folder.path(), &data);
    server.record(&data, end);
    drop(server);
    let server = Prometheus::start(folder.path(), &data);

    let mut took = Vec::<(Duration, usize, String)>::new();
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let expr = dashboard.filled(&query.expr, ".*", RATE_INTERVAL, "24h");
            let mut times = Vec::new();
            let mut found = 0;
            for _ in 0..ROUNDS {
                let (time, series) = server.range(&expr, end, STEP).await;
                times.push(time);
                found = series;
            }
            times.sort_unstable();
            took.push((times[ROUNDS / 2], found, query.place));
        }
    }
    took.sort_unstable();
    took.reverse();
    let empty: Vec<_> = took.iter().filter(|(_, series, _)| *series == 0).map(|(.., place)| place).collect();
    writeln!(out, "{} queries, {} without data: {empty:?}; the slowest:", took.len(), empty.len()).unwrap();
    for (time, series, place) in took.iter().take(12) {
        writeln!(out, "{:8.0} ms {series:5} series  {place}", time.as_secs_f64() * 1e3).unwrap();
    }
    let half = took[took.len() / 2].0;
    writeln!(out, "{:8.0} ms is the median", half.as_secs_f64() * 1e3).unwrap();
}
