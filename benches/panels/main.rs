//! Measures how long the dashboards' panels take over 24 hours: `just bench-panels`.
//!
//! A sidecar that has served 16 models over three routes is scraped once. A day of scrapes, one every 15 s, is
//! derived from that scrape. promtool writes it into blocks, together with the recorded series. Then a real
//! Prometheus answers every query of every panel, as Grafana sends it for 24 hours on 1,000 pixels.
//! `tests/real/install.sh` installs the tools. Writing the day takes minutes: `cargo bench --bench panels --
//! FOLDER` keeps it there and reuses it in the next run.
//!
//! The panels of overlap efficiency have no data here, since promtool computes recorded series from scraped series
//! only.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot continue ends with a panic")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the benchmark measures processes in real time"
)]

#[expect(dead_code, reason = "tests read more of the dashboards")]
// The tests of the dashboards use this file too.
#[path = "../../tests/monitoring/page.rs"]
mod page;
// Several test programs use this file.
#[path = "../../tests/shared/process.rs"]
mod process;

mod day;
mod prometheus;
mod sidecar;

use std::{
    env, fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    time::Duration,
};

use page::dashboards;
use prometheus::Prometheus;
use streamgauge::collector::runtime::enable_histograms;
use tokio::runtime::Builder;

/// Grafana's values for 24 hours on 1,000 pixels with a scrape every 15 s.
const STEP: u64 = 120;
const RATE_INTERVAL: &str = "135s";
/// Repetitions of each query. The median counts, since Prometheus caches no results.
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // `cargo test --benches` runs the benchmark too, to check that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let scratch = process::scratch();
    let kept = arguments.iter().find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| scratch.path().to_owned());
    // Metrics that need tokio_unstable are measured too.
    let runtime = enable_histograms(Builder::new_multi_thread().enable_all()).build().unwrap();
    runtime.block_on(async {
        let end = match fs::read_to_string(folder.join("end")) {
            Ok(end) => end.parse().unwrap(),
            Err(_) => prepare(&folder).await,
        };
        ask(&folder, end).await;
    });
}

/// Writes a day and returns its end in seconds since 1970.
async fn prepare(folder: &Path) -> u64 {
    fs::create_dir_all(folder).unwrap();
    let exposition = sidecar::exposition().await;
    let series = exposition.lines().filter(|line| !line.starts_with('#')).count();
    let mut out = stdout().lock();
    writeln!(out, "a scrape with 16 models: {} bytes, {series} series", exposition.len()).unwrap();
    out.flush().unwrap();
    let data = folder.join("data");
    let end = day::write(&exposition, folder, &data);
    writeln!(out, "a day of it: {:.0} MiB in blocks", day::size(&data) as f64 / f64::from(1 << 20)).unwrap();
    Prometheus::start(folder, &data).record(&data, end);
    fs::write(folder.join("end"), end.to_string()).unwrap();
    end
}

/// The cost of a query.
struct Took {
    /// The median time until the last byte of the response.
    wall: Duration,
    /// The mean CPU time of Prometheus in seconds.
    cpu: f64,
    series: usize,
    place: String,
}

async fn ask(folder: &Path, end: u64) {
    let server = Prometheus::start(folder, &folder.join("data"));
    let mut all = Vec::new();
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let expr = dashboard.filled(&query.expr, ".*", RATE_INTERVAL, "24h");
            let (mut times, mut series, before) = (Vec::new(), 0, server.cpu().await);
            for _ in 0..ROUNDS {
                let (time, found) = server.range(&expr, end, STEP).await;
                times.push(time);
                series = found;
            }
            times.sort_unstable();
            let cpu = (server.cpu().await - before) / ROUNDS as f64;
            all.push(Took { wall: times[ROUNDS / 2], cpu, series, place: query.place });
        }
    }
    all.sort_unstable_by_key(|took| took.wall);
    all.reverse();
    let empty: Vec<_> = all.iter().filter(|took| took.series == 0).map(|took| &took.place).collect();
    let mut out = stdout().lock();
    writeln!(out, "{} queries, {} without data: {empty:?}; the slowest:", all.len(), empty.len()).unwrap();
    for Took { wall, cpu, series, place } in all.iter().take(15) {
        let ms = wall.as_secs_f64() * 1e3;
        writeln!(out, "{ms:8.0} ms {:8.0} ms of CPU {series:5} series  {place}", cpu * 1e3).unwrap();
    }
    let half = all[all.len() / 2].wall;
    writeln!(out, "{:8.0} ms is the median", half.as_secs_f64() * 1e3).unwrap();
}
