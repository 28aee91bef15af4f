//! Measures the cost of recording: 128 Rust agents in one process, with and without a recording, against a simulator
//! in another process.
//!
//! `cargo run --release --example recorder_cost`
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    error::Error,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use streamgauge_lab::experiment::{
    Options, Plan,
    agent::{Clock, Job, Task, Telling, work},
    run,
};
use streamgauge_simulate::{Config, Simulator};
use tokio::{
    runtime::Runtime,
    sync::mpsc,
    time::{Instant, sleep_until},
};

const AGENTS: u32 = 128;
const TOKENS: u32 = 400;
const RATE: f64 = 40.0;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("simulate") {
        return simulate();
    }
    let simulator = Simulated::start()?;
    let runtime = Runtime::new()?;
    // Warms up connections, caches and the allocator.
    runtime.block_on(unrecorded(&simulator.url))?;
    let (mut plain, mut recorded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(measured(&runtime, unrecorded(&simulator.url))?);
        recorded.push(measured(&runtime, recorded_run(&simulator.url))?);
    }
    println!("{AGENTS} agents, {RATE} tokens per second each, medians of {ROUNDS} alternating rounds");
    for (name, costs) in [("unrecorded", plain), ("recorded", recorded)] {
        let median = |of: fn(&Cost) -> f64| percentile(costs.iter().map(of).collect(), 0.5);
        let (cpu, lag) = (median(|cost| cost.cpu), median(|cost| cost.lag));
        println!("{name:<10}  {cpu:.2} µs of CPU per chunk, loop lag p99 {lag:.3} ms");
    }
    Ok(())
}

struct Cost {
    /// CPU time per chunk, µs.
    cpu: f64,
    /// The 99th percentile of the runtime's lag, ms.
    lag: f64,
}

fn measured(
    runtime: &Runtime,
    agents: impl Future<Output = Result<u64, Box<dyn Error>>>,
) -> Result<Cost, Box<dyn Error>> {
    let lags = Arc::new(Mutex::new(Vec::new()));
    let probe = runtime.spawn(probe(lags.clone()));
    let before = cpu();
    let chunks = runtime.block_on(agents)?;
    let spent = cpu() - before;
    probe.abort();
    let lags = lags.lock().map_err(|_| "the probe panicked")?;
    Ok(Cost { cpu: 1e6 * spent / chunks as f64, lag: 1e3 * percentile(lags.clone(), 0.99) })
}

/// The value below which this share of the values lies.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[(share * (values.len() - 1) as f64).round() as usize]
}

async fn probe(lags: Arc<Mutex<Vec<f64>>>) {
    let mut due = Instant::now();
    loop {
        due += Duration::from_millis(5);
        sleep_until(due).await;
        if let Ok(mut lags) = lags.lock() {
            lags.push((Instant::now() - due).as_secs_f64());
        }
    }
}

/// Runs the agents alone. Returns the number of chunks that they read.
async fn unrecorded(url: &str) -> Result<u64, Box<dyn Error>> {
    let task = |agent| Task {
        due: None,
        agent,
        url: format!("{url}/api/generate"),
        body: serde_json::json!({"model": "sim", "prompt": "p", "options": {"num_predict": TOKENS}}),
    };
    let (tell, mut told) = mpsc::channel(64);
    let ready = work(Job { tasks: (0..AGENTS).map(task).collect(), ..Job::default() })?;
    tokio::spawn(ready.begin(Clock::from(0.0), tell));
    let mut chunks = 0;
    while let Some(telling) = told.recv().await {
        if let Telling::Ended(ending) = telling {
            chunks += ending.chunks;
        }
    }
    Ok(chunks)
}

/// Runs the same agents as a whole experiment with one run, recorded on disk.
async fn recorded_run(url: &str) -> Result<u64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let plan: Plan = format!(
        "name = \"cost\"\nrepetitions = 1\nwarm_up = 0\npause = \"0s\"\nsolo = false\n[upstreams]\none = {url:?}\n\
         [[agent]]\nname = \"a\"\nmodel = \"sim\"\nprompt = \"p\"\ntokens = {TOKENS}\n\
         [[condition]]\nname = \"all\"\ncount = {AGENTS}\n"
    )
    .parse()?;
    let recording = folder.path().join("recording");
    let options = Options {
        folder: recording.clone(),
        resume: false,
        python: "python3".into(),
        program: Path::new("streamgauge").into(),
        unset: Vec::new(),
        until: None,
        gpu: None,
    };
    run(&plan, options, &mut ()).await?;
    Ok(std::fs::read_to_string(recording.join("chunk_metrics.csv"))?.lines().count() as u64 - 1)
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Simulated {
    process: Child,
    url: String,
}

impl Simulated {
    fn start() -> Result<Simulated, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg("simulate").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        Ok(Simulated { process, url: format!("http://{}", line.trim()) })
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn simulate() -> Result<(), Box<dyn Error>> {
    Runtime::new()?.block_on(async {
        let bound = Simulator::bind(Config {
            rate: RATE,
            tokens: TOKENS,
            load_time: Duration::ZERO,
            contention: 0.0,
            parallel: AGENTS as usize,
            ..Config::default()
        })?;
        println!("{}", bound.addr());
        bound.run(std::future::pending()).await;
        Ok(())
    })
}
