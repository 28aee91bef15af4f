//! Compares 100 Rust agents at a simulated Ollama of 100 tokens per second, with and without a sidecar: their overlap
//! efficiency, and the delay that the sidecar adds.
//!
//! `cargo run --release --example hundred_agents`. Agents, simulator and sidecar are separate processes.
#![allow(clippy::print_stdout, reason = "the example prints its results")]

use std::{
    error::Error,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use streamgauge::{
    analysis::{Measure, Settings, analyse},
    experiment::{Options, Plan, recording::read, run},
    sidecar,
};
use streamgauge_simulate::{Config, Simulator};
use tokio::{runtime::Runtime, task::JoinSet};

const AGENTS: usize = 100;
const RATE: f64 = 100.0;
const TOKENS: u32 = 400;
const REPETITIONS: u32 = 5;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Runtime::new()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["simulate"] => runtime.block_on(simulate()),
        ["sidecar", upstream] => runtime.block_on(sidecar(upstream)),
        _ => {
            let ollama = Role::start(&["simulate"])?;
            let sidecar = Role::start(&["sidecar", &ollama.url])?;
            runtime.block_on(efficiency(&ollama.url, &sidecar.url))?;
            runtime.block_on(delay(&ollama.url, &sidecar.url))
        }
    }
}

/// Runs an experiment with both connections as conditions, in random order, and prints its analysis.
async fn efficiency(direct: &str, through: &str) -> Outcome<()> {
    let agent = |upstream: &str| {
        format!(
            "[[agent]]\nname = \"{upstream}\"\nupstream = \"{upstream}\"\nmodel = \"sim\"\nprompt = \"p\"\n\
             tokens = {TOKENS}\n[[condition]]\nname = \"{upstream}\"\nagents = [\"{upstream}\"]\ncount = {AGENTS}\n"
        )
    };
    let plan: Plan = format!(
        "name = \"hundred\"\nrepetitions = {REPETITIONS}\nwarm_up = 1\nsolo = false\n\
         [upstreams]\ndirect = {direct:?}\nsidecar = {through:?}\n{}{}",
        agent("direct"),
        agent("sidecar")
    )
    .parse()?;
    let folder = tempfile::tempdir()?;
    let options = Options {
        folder: folder.path().join("recording"),
        resume: false,
        python: "python3".into(),
        program: Path::new("streamgauge").into(),
        unset: Vec::new(),
        until: None,
        gpu: None,
    };
    run(&plan, options, &mut ()).await?;
    let recorded = read(&folder.path().join("recording"))?;
    let analysis = analyse(&recorded.recording, &Settings::default());
    println!("{AGENTS} agents, {RATE} tokens/s each, {REPETITIONS} runs of each connection in random order");
    for name in ["direct", "sidecar"] {
        let condition = analysis.condition(name).ok_or("it has not run")?;
        let found = condition.mean(Measure::OverlapEfficiency).ok_or("no agent finished")?;
        let (low, high) = found.interval.map_or((f64::NAN, f64::NAN), |found| (found.low, found.high));
        println!(
            "{name:<8} overlap efficiency {:.2} % (95 % interval {:.2} to {:.2})",
            100.0 * found.value,
            100.0 * low,
            100.0 * high
        );
    }
    Ok(())
}

/// Measures the time from the stamp in each record to its arrival, for both connections in turn. All processes use the
/// same clock.
async fn delay(direct: &str, through: &str) -> Outcome<()> {
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..REPETITIONS {
        for (delays, url) in found.iter_mut().zip([direct, through]) {
            let mut agents: JoinSet<Outcome<Vec<f64>>> = JoinSet::new();
            for _ in 0..AGENTS {
                agents.spawn(delays_of_one(format!("{url}/api/generate")));
            }
            let mut all = Vec::new();
            while let Some(one) = agents.join_next().await {
                all.extend(one??);
            }
            delays.push([0.5, 0.99].map(|p| 1e3 * percentile(all.clone(), p)));
        }
    }
    for (place, name) in ["p50", "p99"].into_iter().enumerate() {
        let [direct, through] =
            found.each_ref().map(|rounds| percentile(rounds.iter().map(|round| round[place]).collect(), 0.5));
        println!(
            "delay of a chunk, {name}: {direct:.3} ms direct, {through:.3} ms through the sidecar: {:+.3} ms",
            through - direct
        );
    }
    Ok(())
}

async fn delays_of_one(url: String) -> Outcome<Vec<f64>> {
    let body = serde_json::json!({"model": "sim", "prompt": "p", "options": {"num_predict": TOKENS}});
    let mut response = reqwest::Client::new().post(url).body(body.to_string()).send().await?;
    let mut delays = Vec::new();
    while let Some(bytes) = response.chunk().await? {
        let now = SystemTime::now();
        for record in bytes.split(|byte| *byte == b'\n').filter(|record| !record.is_empty()) {
            let record: serde_json::Value = serde_json::from_slice(record)?;
            let stamp =
                humantime::parse_rfc3339(record["created_at"].as_str().ok_or("a record has no stamp")?)?;
            // The last record is stamped when its counts are summed up, not when it is sent.
            if record["done"] == false {
                delays.push(now.duration_since(stamp).unwrap_or_default().as_secs_f64());
            }
        }
    }
    Ok(delays)
}

async fn simulate() -> Outcome<()> {
    let bound = Simulator::bind(Config {
        rate: RATE,
        tokens: TOKENS,
        load_time: Duration::ZERO,
        contention: 0.0,
        parallel: AGENTS,
        ..Config::default()
    })?;
    println!("{}", bound.addr());
    bound.run(std::future::pending()).await;
    Ok(())
}

async fn sidecar(upstream: &str) -> Outcome<()> {
    let mut config = sidecar::Config::default();
    config.proxy.listen.set_port(0);
    config.admin.listen.set_port(0);
    config.upstream.upstreams[0].url = upstream.parse()?;
    let bound = sidecar::Sidecar::builder().config(config).bind().await?;
    println!("{}", bound.proxy_addr());
    bound.run(std::future::pending()).await;
    Ok(())
}

/// This program in another process, which prints its address.
struct Role {
    process: Child,
    url: String,
}

impl Role {
    fn start(arguments: &[&str]) -> Outcome<Role> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.args(arguments).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        Ok(Role { process, url: format!("http://{}", line.trim()) })
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The value below which this share of the values lies, or NaN if there are none.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    values.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
}
