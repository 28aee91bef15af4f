//! What surrounds the streams: the runtimes, the GPUs, the models in memory, the process.
//!
//! Each collector stands alone: it registers on any registry and is read by [`Collect::collect`] as often as its
//! owner likes. [`Collectors`] runs them all. One that fails or hangs harms nothing but its own metrics, and
//! `streamgauge_collector_up` says so.

pub mod gpu;
pub mod lag;
pub mod models;
pub mod process;
pub mod runtime;
mod schedule;
pub mod task;
#[cfg(test)]
mod tests;
mod vital;

use std::{fmt, time::Duration};

use prometheus::Registry;
use tokio::{runtime::Handle, task::JoinSet};

pub use gpu::{FakeReader, GpuCollector};
pub use lag::LagProbe;
pub use models::{Loaded, ModelCollector};
pub use process::ProcessCollector;
pub use runtime::RuntimeCollector;
pub use task::{Task, Tasks};

use gpu::Reader;
use vital::{Vital, Vitals};

/// How often each collector reads; `None` is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The GPUs.
    pub gpu: Option<Duration>,
    /// The models in memory, as the upstreams' health last said.
    pub models: Option<Duration>,
    /// The runtimes, and the tasks on them.
    pub runtime: Option<Duration>,
    /// The time between two probes of how late a runtime wakes.
    pub lag: Option<Duration>,
    /// This process.
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

/// Reads something of the surroundings into its metrics.
pub trait Collect: Send + 'static {
    /// The label `collector`.
    fn name(&self) -> &'static str;

    /// Puts its metrics on a registry.
    ///
    /// # Errors
    /// The registry has one of the names already.
    fn register(&self, registry: &Registry) -> prometheus::Result<()>;

    /// Reads once. It may block; what it showed before stays until it returns.
    ///
    /// # Errors
    /// What could not be read; the next call tries again.
    fn collect(&mut self) -> Result<(), CollectError>;

    /// The longest that something in it can wait to be read; [`Collect::hurried`] is called that often between two
    /// readings. By default there is no such thing.
    fn hurry(&self) -> Option<Duration> {
        None
    }

    /// Reads what cannot wait.
    fn hurried(&mut self) {}
}

/// Why a collector could not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// This machine does not have what the collector reads, as most machines have no GPU. The log says so as
    /// information.
    #[error("{0}")]
    Absent(String),
    /// What the collector reads is there, and does not answer. The log warns of it.
    #[error("{0}")]
    Failed(String),
}

/// All collectors, being put together. What is off by [`Config`] is left out.
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
    /// None yet.
    #[must_use]
    pub fn new(config: Config) -> Collectors {
        Collectors { config, runtimes: Vec::new(), models: None, gpu: None, process: None }
    }

    /// Watches a runtime, under the label `runtime`. It must outlive [`Registered::run`].
    #[must_use]
    pub fn runtime(mut self, name: impl Into<String>, handle: Handle) -> Collectors {
        self.runtimes.push((name.into(), handle));
        self
    }

    /// Shows the models in memory, as `snapshot` has them. Once `is_label` says that a label stands for no model any more,
    /// its gauges end. Neither function may block.
    #[must_use]
    pub fn models(
        mut self,
        snapshot: impl Fn() -> Vec<Loaded> + Send + Sync + 'static,
        is_label: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Collectors {
        self.models = Some(ModelCollector::new(snapshot, is_label));
        self
    }

    /// Reads GPUs: NVIDIA's by `gpu::Nvml` (feature `gpu`), or made-up ones by [`FakeReader`].
    #[must_use]
    pub fn gpu(mut self, reader: impl Reader) -> Collectors {
        self.gpu = Some(GpuCollector::new(reader));
        self
    }

    /// Shows this process under the standard names `process_*`; for whoever owns the process.
    #[must_use]
    pub fn process(mut self) -> Collectors {
        self.process = Some(ProcessCollector::new());
        self
    }

    /// Registers the metrics of all.
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
            let vital = vitals.enter(lag::NAME, every);
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

/// A collector with its interval and its vital sign.
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

/// All collectors, registered; nothing is read yet.
#[derive(Default)]
pub struct Registered {
    tasks: Tasks,
    beside: Vec<Periodic>,
    on_thread: Vec<Periodic>,
    lag: Option<(LagProbe, Duration, Vital)>,
    runtimes: Vec<(String, Handle)>,
}

impl Registered {
    /// Measures the tasks that it is given to instrument.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Reads until it is dropped: on the runtime it is polled by, the probes of lag each on their own runtime,
    /// the GPUs on a thread of their own.
    pub async fn run(self) {
        let Registered { tasks, beside, on_thread, lag, runtimes } = self;
        // Aborted when it is dropped.
        let mut running = JoinSet::new();
        for Periodic { collector, every, vital } in beside {
            running.spawn(tasks.instrument(Task::Collector, schedule::run(collector, every, vital)));
        }
        if let Some((probe, every, vital)) = lag {
            for (name, handle) in runtimes {
                let watch = probe.watch(&name, every, vital.clone());
                running.spawn_on(tasks.instrument(Task::Collector, watch), &handle);
            }
        }
        let _threads: Vec<_> = on_thread
            .into_iter()
            .map(|Periodic { collector, every, vital }| schedule::Thread::start(collector, every, vital))
            .collect();
        // None of them ends by itself; one that panics leaves the others alone.
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

/// The README's example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
