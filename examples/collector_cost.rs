//! What the collectors cost: CPU with all of them on, and the time and size of a scrape.
//!
//! `cargo run --release --example collector_cost -- [SECONDS]`: two runtimes, 16 models, 4 fake GPUs at 10 Hz.

use std::{
    env, io,
    io::Write,
    time::{Duration, SystemTime},
};

use prometheus::{Registry, TextEncoder};
use streamgauge::collector::{Collectors, Config, FakeReader, Loaded, runtime};
use tokio::{runtime::Builder, time::Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = env::args().nth(1).as_deref().unwrap_or("10").parse()?;
    let main = runtime::enable_histograms(Builder::new_multi_thread().enable_all()).build()?;
    let admin = runtime::enable_histograms(Builder::new_current_thread().enable_all()).build()?;
    let loaded = |model| Loaded {
        upstream: "upstream0".to_owned(),
        model: format!("model{model}:latest"),
        size: Some(4 << 30),
        vram: Some(4 << 30),
        context_length: Some(4096),
        expires_at: Some(SystemTime::now() + Duration::from_secs(300)),
    };
    let registry = Registry::new();
    let collectors = Collectors::new(Config::default())
        .runtime("main", main.handle().clone())
        .runtime("admin", admin.handle().clone())
        .models(move || (0..16).map(loaded).collect())
        .gpu(FakeReader::new(4))
        .process()
        .register(&registry)?;

    let began = Instant::now();
    let before = cpu(&registry);
    admin.block_on(async {
        let running = tokio::spawn(collectors.run());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        running.abort();
    });
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), cpu(&registry) - before);

    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..100 {
        let began = Instant::now();
        bytes = TextEncoder::new().encode_to_string(&registry.gather())?.len();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let mut out = io::stdout().lock();
    writeln!(out, "cpu {:.3} % of one core ({cpu:.2} s in {elapsed:.1} s)", 100.0 * cpu / elapsed)?;
    writeln!(out, "scrape {bytes} bytes, median {:?}, slowest of 100 {:?}", times[50], times[99])?;
    Ok(())
}

/// CPU seconds of this process so far, as the process collector has them; 0 before its first reading.
fn cpu(registry: &Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "process_cpu_seconds_total");
    family.map_or(0.0, |family| family.get_metric()[0].get_counter().get_value())
}
