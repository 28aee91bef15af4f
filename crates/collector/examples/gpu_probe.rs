//! Reads the GPUs as the collector does and prints the readings, to compare them with `nvidia-smi` on a real machine.
//!
//! Run `cargo run --release --features gpu --example gpu_probe -- [SECONDS] [INTERVAL_MS]`. It prints one JSON object
//! per reading, and one object with the duration of each query.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "there is no async code in it")]

use std::{
    collections::BTreeMap,
    env, io,
    io::Write,
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use streamgauge_collector::gpu::{Depth, Nvml, Pcie, Reader, Sample};

type Times = BTreeMap<&'static str, Vec<Duration>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let seconds: f64 = arguments.next().as_deref().unwrap_or("10").parse()?;
    let every = Duration::from_millis(arguments.next().as_deref().unwrap_or("100").parse()?);
    let mut out = io::stdout().lock();

    let mut nvml = Nvml::new();
    let began = Instant::now();
    let found = nvml.open()?;
    let opened = micros(began.elapsed());
    for one in &found {
        let told = json!({"gpu": one.label, "uuid": one.uuid, "name": one.name, "driver": one.driver,
                          "mig": one.mig, "xid_events": one.xid_errors, "open_us": opened});
        writeln!(out, "{told}")?;
    }

    let mut samples = vec![Sample::default(); found.len()];
    let (mut times, mut rounds) = (Times::new(), BTreeMap::<&str, Vec<Duration>>::new());
    let began = Instant::now();
    let mut round = 0_u32;
    while began.elapsed().as_secs_f64() < seconds {
        let per_second = (1_000 / every.as_millis().max(1)).max(1);
        let depth = if u128::from(round) % per_second == 0 { Depth::Full } else { Depth::Fast };
        let started = Instant::now();
        for (position, sample) in samples.iter_mut().enumerate() {
            nvml.read_timed(position, depth, sample, |query, took| {
                times.entry(query).or_default().push(took)
            })?;
        }
        for report in nvml.xid_errors() {
            let told = json!({"xid_error": report.code, "errors": report.errors, "gpu": found[report.position].label,
                              "after_s": began.elapsed().as_secs_f64()});
            writeln!(out, "{told}")?;
        }
        let name = if depth == Depth::Full { "full round" } else { "fast round" };
        rounds.entry(name).or_default().push(started.elapsed());
        for (sample, one) in samples.iter().zip(&found) {
            writeln!(out, "{}", reading(&one.label, sample)?)?;
        }
        round += 1;
        thread::sleep((every * round).saturating_sub(began.elapsed()));
    }
    for (name, mut took) in times.into_iter().chain(rounds) {
        took.sort_unstable();
        let (median, max) = (took[took.len() / 2], took[took.len() - 1]);
        let told =
            json!({"query": name, "count": took.len(), "median_us": micros(median), "max_us": micros(max)});
        writeln!(out, "{told}")?;
    }
    Ok(())
}

fn reading(gpu: &str, sample: &Sample) -> Result<Value, Box<dyn std::error::Error>> {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
    let errors = &sample.memory_errors;
    let pcie = match sample.pcie {
        Some(Pcie::Counted { transmit, receive }) => {
            json!({"transmit_bytes": transmit, "receive_bytes": receive})
        }
        Some(Pcie::Sampled { transmit, receive }) => {
            json!({"transmit_kib_s": transmit, "receive_kib_s": receive})
        }
        None => Value::Null,
    };
    Ok(json!({
        "time": time,
        "gpu": gpu,
        "utilization_percent": sample.utilization_percent,
        "memory_utilization_percent": sample.memory_utilization_percent,
        "memory_used_bytes": sample.memory.map(|memory| memory.used),
        "memory_free_bytes": sample.memory.map(|memory| memory.free),
        "memory_total_bytes": sample.memory.map(|memory| memory.total),
        "power_milliwatts": sample.power_milliwatts,
        "power_limit_milliwatts": sample.power_limit_milliwatts,
        "energy_millijoules": sample.energy_millijoules,
        "temperature_celsius": sample.temperature_celsius,
        "clocks_mhz": [sample.clocks.graphics, sample.clocks.sm, sample.clocks.memory, sample.clocks.video],
        "clock_limits": sample.clock_limits,
        "pcie_generation": [sample.link_generation.current, sample.link_generation.max],
        "pcie_width": [sample.link_width.current, sample.link_width.max],
        "pcie": pcie,
        "pcie_replays": sample.pcie_replays,
        "ecc_volatile": [errors.corrected, errors.uncorrected],
        "ecc_aggregate": [errors.corrected_aggregate, errors.uncorrected_aggregate],
        "retired_pages": [errors.retired_single_bit, errors.retired_double_bit],
        "remapped_rows": [errors.remapped_corrected, errors.remapped_uncorrected],
        "memory_repair": [errors.is_repair_pending, errors.has_repair_failed],
        "processes": sample.processes,
    }))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
