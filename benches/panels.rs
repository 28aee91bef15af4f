//! How long the dashboards' panels take over 24 hours: `just bench-panels`.
//!
//! A sidecar that has served 16 models by three routes is scraped once; from that a day of scrapes every 15 seconds is
//! made up, written into blocks by promtool, recorded series too, and a real Prometheus is asked every query of every
//! panel as Grafana asks it for 24 hours on 1,000 pixels. `tests/real/install.sh` installs what it needs. The day takes
//! minutes to write: `cargo bench --bench panels -- FOLDER` keeps it there, and takes it from there the next time.
//!
//! The panels of overlap efficiency have no data here: promtool computes recorded series from scraped series only.
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
    env, fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    time::Duration,
};

use page::dashboards;
use prometheus::Prometheus;
use streamgauge::collector::runtime::enable_histograms;
use tokio::runtime::Builder;

/// As Grafana sets them for 24 hours on 1,000 pixels, scraped every 15 s.
const STEP: u64 = 120;
const RATE_INTERVAL: &str = "135s";
/// Each query so often, and the median counts: Prometheus keeps nothing of an answer.
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    // `cargo test --benches` runs it too, to see that it begins.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let scratch = process::scratch();
    let kept = arguments.iter().find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| scratch.path().to_owned());
    // What needs tokio_unstable is measured too.
    let runtime = enable_histograms(Builder::new_multi_thread().enable_all()).build().unwrap();
    runtime.block_on(async {
        let end = match fs::read_to_string(folder.join("end")) {
            Ok(end) => end.parse().unwrap(),
            Err(_) => prepare(&folder).await,
        };
        ask(&folder, end).await;
    });
}

/// Writes a day, and tells its end in seconds since 1970.
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

/// What a query took.
struct Took {
    /// The median of the rounds, until the last byte of the answer is there.
    wall: Duration,
    /// Of Prometheus, the mean of the rounds, seconds.
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
