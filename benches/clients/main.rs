//! The cost of streams for a Python program that reads them: direct, through the sidecar, coalesced and merged, in
//! one run.
//!
//! `cargo bench --bench clients` (`-- --help` shows the options). It needs Python with `httpx` and the package
//! `ollama`, which tests/real/install.sh installs. The text of each stream is compared with the text of a direct
//! stream.
#![allow(clippy::print_stdout, reason = "the benchmark prints its results")]
#![allow(clippy::disallowed_methods, reason = "the benchmark waits for processes")]

#[allow(dead_code, reason = "only a part is used here")]
// The benchmark `peers` uses these three files too.
#[path = "../peers/process.rs"]
mod process;
// As above.
#[path = "../peers/simulator.rs"]
mod simulator;
// As above.
#[path = "../peers/spread.rs"]
mod spread;

use std::{env, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Deserialize;

use process::Process;
use spread::{Spread, rows, table, turns};

/// Longer than any step of the benchmark.
const PATIENCE: Duration = Duration::from_secs(60);

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/clients/client.py");

/// The options.
#[derive(Debug, Parser)]
struct Plan {
    /// The number of repetitions. In each one, every connection is measured once
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The number of concurrent streams
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// The records per second of each stream
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// The duration of a stream in seconds, if the client keeps up
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// A Python interpreter with httpx and ollama [default: that of tests/real/install.sh]
    #[arg(long)]
    python: Option<PathBuf>,
    /// The streamgauge that simulates and is measured [default: the one just built]
    #[arg(long, default_value = env!("CARGO_BIN_EXE_streamgauge"), hide_default_value = true)]
    ours: PathBuf,
    /// Set by `cargo bench` and not by `cargo test`, which must not measure.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The environment variables of a sidecar.
type Settings = &'static [(&'static str, &'static str)];

/// The connections between client and simulator. The last one is the base of the comparison.
const BETWEEN: [(&str, Option<Settings>); 5] = [
    (
        "merged, 100 ms",
        Some(&[
            ("STREAMGAUGE_SHAPING__MERGE", "true"),
            ("STREAMGAUGE_SHAPING__COALESCE", "{ delay = \"100ms\", bytes = \"4KiB\" }"),
        ]),
    ),
    ("merged", Some(&[("STREAMGAUGE_SHAPING__MERGE", "true")])),
    ("coalesced", Some(&[("STREAMGAUGE_SHAPING__COALESCE", "{ delay = \"50ms\", bytes = \"1KiB\" }")])),
    ("through", Some(&[])),
    ("direct", None),
];

/// The output of a client.
#[derive(Debug, Deserialize)]
struct Cost {
    tokens: u64,
    cpu_us: f64,
    lag_p50_ms: f64,
    lag_p99_ms: f64,
    texts: Vec<String>,
}

fn main() -> Result<()> {
    let plan = Plan::parse();
    if !plan.bench {
        return Ok(());
    }
    let load = std::fs::read_to_string("/proc/loadavg").context("this runs on Linux alone")?;
    println!("load average before: {}", load.trim());
    let (_simulator, ollama) = simulator::apart(&plan.ours, plan.rate, plan.rate * plan.seconds)?;
    let mut places = Vec::new();
    for (name, settings) in BETWEEN {
        places.push(match settings {
            Some(settings) => {
                let (process, addr) = sidecar(&plan, ollama, settings)?;
                (name, addr, Some(process))
            }
            None => (name, ollama, None),
        });
    }
    for library in ["httpx", "ollama"] {
        let mut figures: [Vec<(String, Spread)>; 3] =
            std::array::from_fn(|_| rows(BETWEEN.map(|(name, _)| name)));
        let mut texts = None;
        for turn in turns(plan.rounds, places.len()) {
            let (name, addr, _) = &places[turn];
            let cost = read(&plan, library, *addr).with_context(|| format!("{library}, {name}"))?;
            let whole = u64::from(plan.rate * plan.seconds) * plan.streams as u64;
            ensure!(cost.tokens == whole, "{library}, {name}: {} of {whole} tokens", cost.tokens);
            ensure!(
                *texts.get_or_insert_with(|| cost.texts.clone()) == cost.texts,
                "{name} received other text"
            );
            for (rows, figure) in figures.iter_mut().zip([cost.cpu_us, cost.lag_p50_ms, cost.lag_p99_ms]) {
                rows[turn].1.push(figure);
            }
        }
        let what = format!("{library}, {} streams × {}/s", plan.streams, plan.rate);
        for (title, rows) in ["CPU µs per token", "loop lag p50, ms", "loop lag p99, ms"].iter().zip(&figures)
        {
            table(&format!("{title}: {what}"), rows);
        }
    }
    Ok(())
}

fn sidecar(plan: &Plan, upstream: SocketAddr, settings: Settings) -> Result<(Process, SocketAddr)> {
    let addr = process::free()?;
    let mut command = Command::new(&plan.ours);
    command.args(["-q", "serve", "--upstream", &format!("http://{upstream}"), "--listen", &addr.to_string()]);
    command.args(["--admin", "127.0.0.1:0"]).envs(settings.iter().copied());
    Ok((Process::start(&mut command, addr)?, addr))
}

/// Runs one client and returns its costs.
fn read(plan: &Plan, library: &str, addr: SocketAddr) -> Result<Cost> {
    let installed = || env::home_dir().map(|home| home.join(".cache/streamgauge/venv/bin/python"));
    let found = || installed().filter(|python| python.exists()).unwrap_or_else(|| "python3".into());
    let mut python = Command::new(plan.python.clone().unwrap_or_else(found));
    python.args([CLIENT, library, &format!("http://{addr}"), &plan.streams.to_string()]);
    let output = python.output().context("cannot start Python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
