//! Counts the instructions of a record, a chunk, a stream and a request with callgrind. Unlike times, they are the
//! same on a busy machine.
//!
//! `cargo bench --profile count --package streamgauge --no-default-features --bench instructions` fails if a count
//! exceeds `baseline.json` by more than 5 %. `-- --write` writes that file, for example after a change of the
//! compiler. It needs valgrind.
#![allow(clippy::print_stdout, reason = "the benchmark prints its results")]
#![allow(clippy::disallowed_methods, reason = "the benchmark waits for valgrind")]

mod scenario;

use std::{collections::BTreeMap, env, error::Error, fs, process::Command};

use scenario::SCENARIOS;

const BASELINE: &str = "benches/instructions/baseline.json";
/// The accepted excess over the baseline, as a share.
const TOLERANCE: f64 = 0.05;
/// The repetitions of two runs. The difference of their counts is free of the start of the process.
const FEW: u64 = 100;
const MANY: u64 = 1100;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", name, times] => {
            let (_, run) = SCENARIOS.iter().find(|(known, _)| *known == name).ok_or("no such scenario")?;
            run(times.parse()?);
            Ok(())
        }
        ["--bench"] => compare(&count()?),
        ["--write", "--bench"] => write(&count()?),
        // `cargo test` must not count.
        [] => Ok(()),
        _ => Err("either nothing or --write".into()),
    }
}

/// The instructions of one repetition of each scenario.
fn count() -> Result<BTreeMap<String, f64>> {
    let each = SCENARIOS.iter().map(|(name, _)| {
        let more = collected(name, MANY)?.checked_sub(collected(name, FEW)?).ok_or("more took fewer")?;
        Ok(((*name).to_owned(), (more as f64 / (MANY - FEW) as f64).round()))
    });
    each.collect()
}

fn collected(name: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?);
    let output = valgrind.args(["run", name, &times.to_string()]).output();
    let output = output
        .map_err(|error| format!("cannot start valgrind: {error}; install Debian's package valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    let counted = line.filter(|_| output.status.success()).and_then(|(_, count)| count.trim().parse().ok());
    counted.ok_or_else(|| format!("{name}: {said}").into())
}

fn compare(counts: &BTreeMap<String, f64>) -> Result<()> {
    let baseline: BTreeMap<String, f64> = serde_json::from_str(&fs::read_to_string(BASELINE)?)?;
    if !baseline.keys().eq(counts.keys()) {
        return Err(format!("{BASELINE} has other scenarios: write it again with `-- --write`").into());
    }
    let mut over = Vec::new();
    println!("{:<10} {:>12} {:>10} {:>8}", "", "instructions", "baseline", "ratio");
    for (name, count) in counts {
        let ratio = count / baseline[name];
        println!("{name:<10} {count:>12} {:>10} {ratio:>8.3}", baseline[name]);
        if ratio > 1.0 + TOLERANCE {
            over.push(name.as_str());
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(format!("over the baseline by more than 5 %: {}", over.join(", ")).into())
}

fn write(counts: &BTreeMap<String, f64>) -> Result<()> {
    fs::write(BASELINE, serde_json::to_string_pretty(counts)? + "\n")?;
    println!("wrote {BASELINE}");
    Ok(())
}
