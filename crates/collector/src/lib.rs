//! Metrics of what surrounds the streams: the runtimes, the GPUs, the models in memory, and the process.
//!
//! Each collector works alone: it registers on any registry, and its owner calls [`Collect::collect`] as often as
//! needed. [`Collectors`] runs all of them. A collector that fails or hangs affects only its own metrics, and
//! `streamgauge_collector_up` reports it.
//!
//! Begin at [`Collectors`] for all of them, or at one: [`RuntimeCollector`], [`GpuCollector`], [`ModelCollector`],
//! [`ProcessCollector`], [`LagProbe`]. The feature `gpu` adds `gpu::Nvml`, which reads NVIDIA's GPUs; without it, implement
//! [`gpu::Reader`] or use [`FakeReader`]. [`Tasks`] measures tasks of your own.

mod collect;
pub mod gpu;
mod lag;
mod models;
mod process;
pub mod runtime;
mod schedule;
mod task;
#[cfg(test)]
mod tests;
mod vital;

use std::{fmt, sync::Arc, time::Duration};

use prometheus::Registry;
use tokio::{runtime::Handle, sync::Notify, task::JoinSet};

pub use collect::{Collect, CollectError};
pub use gpu::{FakeReader, GpuCollector};
pub use lag::LagProbe;
pub use models::{Loaded, ModelCollector};
pub use process::ProcessCollector;
pub use runtime::RuntimeCollector;
pub use task::{Task, Tasks};

use gpu::Reader;
use vital::{Vital, Vitals};

/// How often each collector reads. `None` turns a collector off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Reads the GPUs.
    pub gpu: Option<Duration>,
    /// Updates the models in memory from the latest health probe.
    pub models: Option<Duration>,
    /// Reads the runtimes, and the tasks on them.
    pub runtime: Option<Duration>,
    /// The interval between two probes of a runtime's lag.
    pub lag: Option<Duration>,
    /// Reads this process.
    pub process: Option<Duration>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            gpu: Some(Duration::from_millis(100)),
            models: Some(Duration::from_secs(10)),
            runtime: Some(Duration::from_secs(1)),
            lag: Some(Duration::from_millis(10)),
            process: Some(Duration::from_secs(1)),
        }
    }
}

/// A builder for all collectors. A collector that [`Config`] turns off is left out.
///
/// ```no_run
/// # async fn example() -> prometheus::Result<()> {
/// use streamgauge_collector::{Collectors, Config};
///
/// let registry = prometheus::Registry::new();
/// let collectors = Collectors::new(Config::default())
///     .runtime("main", tokio::runtime::Handle::current())
///     .register(&registry)?;
/// collectors.run().await;
/// # Ok(())
/// # }
/// ```
pub struct Collectors {
    config: Config,
    runtimes: Vec<(String, Handle)>,
    models: Option<ModelCollector>,
    gpu: Option<GpuCollector>,
    process: Option<ProcessCollector>,
}

impl Collectors {
    /// Creates a set without collectors.
    #[must_use]
    pub fn new(config: Config) -> Collectors {
        Collectors { config, runtimes: Vec::new(), models: None, gpu: None, process: None }
    }

    /// Adds a runtime, under the label `runtime`. The runtime must outlive [`Registered::run`].
    #[must_use]
    pub fn runtime(mut self, name: impl Into<String>, handle: Handle) -> Collectors {
        self.runtimes.push((name.into(), handle));
        self
    }

    /// Adds the models in memory, as `snapshot` returns them. When `is_label` returns that a label stands for no
    /// model any more, the gauges of that label end. Neither function may block.
    #[must_use]
    pub fn models(
        mut self,
        snapshot: impl Fn() -> Vec<Loaded> + Send + Sync + 'static,
        is_label: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Collectors {
        self.models = Some(ModelCollector::new(snapshot, is_label));
        self
    }

    /// Adds GPUs: NVIDIA's with `gpu::Nvml` (feature `gpu`), or simulated ones with [`FakeReader`].
    #[must_use]
    pub fn gpu(mut self, reader: impl Reader) -> Collectors {
        self.gpu = Some(GpuCollector::new(reader));
        self
    }

    /// Adds this process, under the standard names `process_*`. Call it only if no other code in the process exports
    /// them.
    #[must_use]
    pub fn process(mut self) -> Collectors {
        self.process = Some(ProcessCollector::new());
        self
    }

    /// Registers the metrics of all collectors.
    ///
    /// # Errors
    /// The registry has one of the names already.
    pub fn register(self, registry: &Registry) -> prometheus::Result<Registered> {
        let Collectors { config, runtimes, models, gpu, process } = self;
        let vitals = Vitals::register(registry)?;
        let mut all = Registered::default();
        if let Some(every) = config.runtime {
            all.tasks = Tasks::register(registry)?;
            let runtime = RuntimeCollector::of(runtimes.iter().cloned());
            all.beside.push(Periodic::register(runtime, every, registry, &vitals)?);
        }
        if let (Some(models), Some(every)) = (models, config.models) {
            all.beside.push(Periodic::register(models, every, registry, &vitals)?);
        }
        if let (Some(process), Some(every)) = (process, config.process) {
            all.beside.push(Periodic::register(process, every, registry, &vitals)?);
        }
        if let (Some(gpu), Some(every)) = (gpu, config.gpu) {
            all.on_thread.push(Periodic::register(gpu.every(every), every, registry, &vitals)?);
        }
        if let Some(every) = config.lag {
            let vital = vitals.enter(lag::NAME, every.max(lag::ROUSED_EVERY));
            all.lag = Some((LagProbe::register(registry)?, every, vital));
            all.runtimes = runtimes;
        }
        Ok(all)
    }
}

impl fmt::Debug for Collectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collectors").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A collector with its interval and its state.
struct Periodic {
    collector: Box<dyn Collect>,
    every: Duration,
    vital: Vital,
}

impl Periodic {
    fn register(
        collector: impl Collect,
        every: Duration,
        registry: &Registry,
        vitals: &Vitals,
    ) -> prometheus::Result<Periodic> {
        collector.register(registry)?;
        let vital = vitals.enter(collector.name(), every);
        Ok(Periodic { collector: Box::new(collector), every, vital })
    }
}

/// All collectors, registered. They have read nothing yet.
#[derive(Default)]
pub struct Registered {
    tasks: Tasks,
    beside: Vec<Periodic>,
    on_thread: Vec<Periodic>,
    lag: Option<(LagProbe, Duration, Vital)>,
    runtimes: Vec<(String, Handle)>,
}

impl Registered {
    /// Returns the object that measures the tasks that it instruments.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Runs all collectors until the future is dropped. They read on the runtime that polls the future. Each lag
    /// probe runs on its own runtime, and the GPUs are read on a thread of their own.
    pub async fn run(self) {
        let Registered { tasks, beside, on_thread, lag, runtimes } = self;
        // Dropping the set aborts the tasks.
        let mut running = JoinSet::new();
        for Periodic { collector, every, vital } in beside {
            running.spawn(tasks.instrument(Task::Collector, schedule::run(collector, every, vital)));
        }
        if let Some((probe, every, vital)) = lag {
            let mut probed = Vec::new();
            for (name, handle) in runtimes {
                let busy_again = Arc::new(Notify::new());
                let watch = probe.watch(&name, every, vital.clone(), busy_again.clone());
                running.spawn_on(tasks.instrument(Task::Collector, watch), &handle);
                probed.push((handle.metrics(), busy_again));
            }
            running.spawn(tasks.instrument(Task::Collector, lag::rouse(probed)));
        }
        let _threads: Vec<_> = on_thread
            .into_iter()
            .map(|Periodic { collector, every, vital }| schedule::Thread::start(collector, every, vital))
            .collect();
        // None of them ends by itself. If one panics, the others continue.
        while running.join_next().await.is_some() {}
        std::future::pending().await
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            self.beside.iter().chain(&self.on_thread).map(|one| one.collector.name()).collect();
        f.debug_struct("Registered").field("collectors", &names).finish_non_exhaustive()
    }
}

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
