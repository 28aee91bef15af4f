//! What streams cost the Python program that reads them: direct, through the sidecar, coalesced, merged, in one run.
//!
//! `cargo bench --bench clients` (`-- --help` says more). It needs Python with `httpx` and the `ollama` package, as
//! tests/real/install.sh has it. What each stream says is compared with what it says direct.
#![allow(clippy::print_stdout, reason = "it reports to whoever runs it")]
#![allow(clippy::disallowed_methods, reason = "it waits for processes")]

#[allow(dead_code, reason = "not all of it is asked for here")]
#[path = "../peers/process.rs"]
mod process;
#[path = "../peers/simulator.rs"]
mod simulator;
#[path = "../peers/spread.rs"]
mod spread;

use std::{env, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Deserialize;

use process::Process;
use spread::{Spread, rows, table, turns};

/// Nothing here takes as long by itself.
const PATIENCE: Duration = Duration::from_secs(60);

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/clients/client.py");

/// How hard.
#[derive(Debug, Parser)]
struct Plan {
    /// Repetitions; what stands between takes turns in each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Streams at once.
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// Records a second of each stream.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Seconds that a stream lasts, if the client keeps up.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Python with httpx and ollama; that of tests/real/install.sh, if not given.
    #[arg(long)]
    python: Option<PathBuf>,
    /// The streamgauge that is measured, and that simulates; the one just built, if not given.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_streamgauge"), hide_default_value = true)]
    ours: PathBuf,
    /// Given by `cargo bench`, and not by `cargo test`, which is to measure nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Variables of a sidecar's environment.
type Settings = &'static [(&'static str, &'static str)];

/// What stands between client and simulator; the last one is what the others are compared with.
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

/// What a client prints.
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
                "{name} says something else"
            );
            for (rows, figure) in figures.iter_mut().zip([cost.cpu_us, cost.lag_p50_ms, cost.lag_p99_ms]) {
                rows[turn].1.push(figure);
            }
        }
        let what = format!("{library}, {} streams × {}/s", plan.streams, plan.rate);
        for (title, rows) in ["CPU µs a token", "loop lag p50, ms", "loop lag p99, ms"].iter().zip(&figures)
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

/// One client, and what it says that it cost.
fn read(plan: &Plan, library: &str, addr: SocketAddr) -> Result<Cost> {
    let installed = || env::home_dir().map(|home| home.join(".cache/streamgauge/venv/bin/python"));
    let found = || installed().filter(|python| python.exists()).unwrap_or_else(|| "python3".into());
    let mut python = Command::new(plan.python.clone().unwrap_or_else(found));
    python.args([CLIENT, library, &format!("http://{addr}"), &plan.streams.to_string()]);
    let output = python.output().context("cannot start Python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
