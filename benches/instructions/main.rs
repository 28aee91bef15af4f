//! Counts what a record, a chunk, a stream and a request cost: instructions, system calls, allocations and readings
//! of the clock with callgrind, and the memory of a running stream and of a request that waits for its response with
//! DHAT. Unlike times, they are the same on a busy machine.
//!
//! `cargo bench --profile count --package streamgauge --no-default-features --features traces --bench instructions` fails
//! if a count exceeds `baseline.json` by more than 5 %, or calls or the instructions of a layer by more than 10 %.
//! `-- --write` writes that file, for example after a change of the compiler, and `-- NAME` counts the scenarios whose
//! name contains NAME. It needs valgrind.
//!
//! `chunk-…` and `request-…` are whole paths: of a client and an upstream with nothing, a copy of bytes, hyper alone,
//! the sidecar, the sidecar with its measurement of tasks and runtimes, and the same with the request log and traces
//! between them. The cost of a layer is the difference from the path without it. `in …` are the instructions that
//! the functions of a layer take themselves.
#![allow(clippy::print_stdout, reason = "the benchmark prints its results")]
#![allow(clippy::disallowed_methods, reason = "the benchmark waits for valgrind, and pauses between chunks")]

// The benchmarks against peers use this module too.
#[path = "../bare/mod.rs"]
mod bare;
mod count;
mod layer;
mod relay;
mod scenario;

use std::{collections::BTreeMap, env, error::Error, fs};

use count::Count;
use scenario::{HELD, SCENARIOS};

const BASELINE: &str = "benches/instructions/baseline.json";
/// The accepted excess over the baseline, as a share, and for small counts as a count.
const TOLERANCE: f64 = 0.05;
/// The same for calls. How often a runtime reads the clock or waits also follows from the speed of the machine.
const CALLS_TOLERANCE: f64 = 0.1;
/// The same for the instructions of a layer, as a share and as a count. The compiler moves some from one layer to another.
const LAYER_TOLERANCE: f64 = 0.1;
const LAYER_FURTHER: f64 = 100.0;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Counts = BTreeMap<String, Count>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", name, times] => {
            let (_, run) =
                SCENARIOS.iter().chain(&HELD).find(|(known, _)| *known == name).ok_or("no such scenario")?;
            run(times.parse()?);
            Ok(())
        }
        ["--bench"] => compare(&count("")?, true),
        [part, "--bench"] if part != "--write" => compare(&count(part)?, false),
        ["--write", "--bench"] => write(&count("")?),
        // `cargo test` must not count.
        [] => Ok(()),
        _ => Err("nothing, --write or a part of a name".into()),
    }
}

/// The cost of one repetition of each scenario whose name contains `part`.
fn count(part: &str) -> Result<Counts> {
    let named = |(name, _): &&scenario::Scenario| name.contains(part);
    let run = SCENARIOS.iter().filter(named).map(|(name, _)| Ok(((*name).to_owned(), count::run(name)?)));
    let held = HELD.iter().filter(named).map(|(name, _)| Ok(((*name).to_owned(), count::held(name)?)));
    run.chain(held).collect()
}

fn compare(counts: &Counts, all: bool) -> Result<()> {
    let baseline: Counts = serde_json::from_str(&fs::read_to_string(BASELINE)?)?;
    if all && !baseline.keys().eq(counts.keys()) {
        return Err(format!("{BASELINE} has other scenarios: write it again with `-- --write`").into());
    }
    let mut over = Vec::new();
    println!("{:<22} {:<13} {:>10} {:>10} {:>8}", "", "", "count", "baseline", "ratio");
    for (name, count) in counts {
        let Some(known) = baseline.get(name) else { return Err(format!("{BASELINE} has no {name}").into()) };
        for (what, value) in count {
            let base = known.get(what).ok_or_else(|| format!("{BASELINE} has no {what} of {name}"))?;
            println!("{name:<22} {what:<13} {value:>10} {base:>10} {:>8.3}", value / base);
            let (tolerance, further) = match what.as_str() {
                "instructions" | "bytes" => (TOLERANCE, TOLERANCE),
                layer if layer.starts_with("in ") => (LAYER_TOLERANCE, LAYER_FURTHER),
                _ => (CALLS_TOLERANCE, CALLS_TOLERANCE),
            };
            if *value > base * (1.0 + tolerance) + further {
                over.push(format!("{name} ({what})"));
            }
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(format!("over the baseline: {}", over.join(", ")).into())
}

fn write(counts: &Counts) -> Result<()> {
    fs::write(BASELINE, serde_json::to_string_pretty(counts)? + "\n")?;
    println!("wrote {BASELINE}");
    Ok(())
}
