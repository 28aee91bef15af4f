//! Prints the cost of the collectors: the CPU time with all of them on, and the time and size of a scrape.
//!
//! Run `cargo run --release --example collector_cost -- [SECONDS [COLLECTOR…]]`. It starts two runtimes of one thread
//! each, 16 models, 4 fake GPUs at 10 Hz, and every collector, or only the collectors that are named. The scrape also
//! contains the metrics of a meter with streams of every model, on Ollama's own routes for chats and generations.

use std::{
    convert::Infallible,
    env, fs, io,
    io::Write,
    thread,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use prometheus::{Registry, TextEncoder};
use streamgauge_collector::{Collectors, Config, FakeReader, Loaded, runtime};
use streamgauge_meter::meter::{self, Facts, Meter};
use tokio::{runtime::Builder, sync::oneshot, time::Instant};

const MODELS: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let seconds: u64 = arguments.next().as_deref().unwrap_or("10").parse()?;
    let named: Vec<_> = arguments.collect();
    let single = || runtime::enable_histograms(Builder::new_current_thread().enable_all()).build();
    let (main, admin) = (single()?, single()?);
    let loaded = |model| Loaded {
        upstream: "upstream0".to_owned(),
        model: format!("model{model}:latest"),
        size: Some(4 << 30),
        vram: Some(4 << 30),
        context_length: Some(4096),
        expires_at: Some(SystemTime::now() + Duration::from_secs(300)),
    };
    let registry = Registry::new();
    let mut config = Config::default();
    let off = |name: &str| !named.is_empty() && named.iter().all(|one| one != name);
    for (name, every) in [
        ("gpu", &mut config.gpu),
        ("models", &mut config.models),
        ("runtime", &mut config.runtime),
        ("lag", &mut config.lag),
        ("process", &mut config.process),
    ] {
        if off(name) {
            *every = None;
        }
    }
    let collectors = Collectors::new(config)
        .runtime("main", main.handle().clone())
        .runtime("admin", admin.handle().clone())
        .models(move || (0..MODELS).map(loaded).collect(), |_| true)
        .gpu(FakeReader::new(4))
        .process()
        .register(&registry)?;

    let (end, ended) = oneshot::channel::<()>();
    metered(&registry)?;
    let thread = thread::spawn(move || main.block_on(ended));
    let (began, before) = (Instant::now(), cpu()?);
    admin.block_on(async {
        let running = tokio::spawn(collectors.run());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        running.abort();
    });
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), cpu()? - before);
    drop(end);
    let _ = thread.join();

    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..100 {
        let began = Instant::now();
        bytes = TextEncoder::new().encode_to_string(&registry.gather())?.len();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let mut out = io::stdout().lock();
    writeln!(out, "cpu {:.3} % of one core ({cpu:.3} s in {elapsed:.1} s)", 100.0 * cpu / elapsed)?;
    writeln!(out, "scrape {bytes} bytes, median {:?}, slowest of 100 {:?}", times[50], times[99])?;
    Ok(())
}

/// Measures a stream of each model on each of two routes, so that every family of the meter has its children.
fn metered(registry: &Registry) -> prometheus::Result<()> {
    let meter = Meter::register(registry, &meter::Config::default(), &["upstream0"])?;
    for model in 0..MODELS {
        for path in ["/api/generate", "/api/chat"] {
            let mut measurement = meter.start(Facts::new("POST", path));
            measurement.model_named(&format!("model{model}"));
            measurement.upstream_chosen("upstream0");
            measurement.responded(StatusCode::OK);
            let records = ["{\"response\":\"a\"}\n", "{\"done\":true,\"load_duration\":1000000000}\n"];
            let records = stream::iter(records.map(|record| Ok::<_, Infallible>(Bytes::from(record))));
            // Every part of this stream is ready at once.
            let _ = measurement.wrap_stream(Some("application/x-ndjson"), records).count().now_or_never();
        }
    }
    Ok(())
}

/// Returns the CPU time of this process so far, in seconds, with a resolution of a nanosecond.
fn cpu() -> io::Result<f64> {
    let mut nanos = 0;
    // The kernel keeps the time of each thread. Threads that have ended did no work worth counting.
    for thread in fs::read_dir("/proc/self/task")? {
        let told = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += told.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(nanos as f64 / 1e9)
}
