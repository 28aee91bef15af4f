//! Tokio's runtimes: how busy their workers are, and how many tasks wait.

#[cfg(tokio_unstable)]
mod tally;
#[cfg(tokio_unstable)]
mod unstable;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::Registry;
use tokio::runtime::{Builder, Handle, RuntimeMetrics};
use tokio_metrics::{RuntimeIntervals, RuntimeMonitor};

use super::{Collect, CollectError};
use streamgauge_meter::metric::{Exposition, Metric, Page};

const WORKERS: Metric = Metric::gauge("streamgauge_runtime_workers", "Worker threads.", &["runtime"]);
const LIVE_TASKS: Metric =
    Metric::gauge("streamgauge_runtime_live_tasks", "Tasks that have not ended.", &["runtime"]);
const GLOBAL_QUEUE: Metric = Metric::gauge(
    "streamgauge_runtime_global_queue_depth",
    "Tasks that wait in the queue that all workers share.",
    &["runtime"],
);
const BUSY: Metric = Metric::counter(
    "streamgauge_runtime_worker_busy_seconds_total",
    "Time in which the worker was not parked, seconds. The time is added when the worker parks.",
    &["runtime", "worker"],
);
const PARKS: Metric = Metric::counter(
    "streamgauge_runtime_worker_parks_total",
    "How often the worker parked because it had nothing to do.",
    &["runtime", "worker"],
);
const UNSTABLE: Metric = Metric::gauge(
    "streamgauge_runtime_unstable_metrics",
    "1 if the program was built with tokio_unstable and exports all runtime metrics, otherwise 0.",
    &[],
);

/// Reads one or several runtimes.
///
/// Tokio's stable metrics are always exported. The others need a program that is built with `--cfg tokio_unstable`,
/// and the two histograms also need [`enable_histograms`] for the runtime.
///
/// ```
/// use streamgauge_collector::{Collect, RuntimeCollector};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = prometheus::Registry::new();
/// let mut collector = RuntimeCollector::for_handle("mine", tokio::runtime::Handle::current());
/// collector.register(&registry)?;
/// collector.collect()?;
/// assert!(!registry.gather().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RuntimeCollector {
    watched: Arc<Mutex<Vec<Watched>>>,
}

impl RuntimeCollector {
    /// Creates a collector of this runtime, under the label `runtime`.
    #[must_use]
    pub fn for_handle(name: impl Into<String>, handle: Handle) -> RuntimeCollector {
        RuntimeCollector::of([(name.into(), handle)])
    }

    /// Creates a collector of all these runtimes. Runtimes with the same name are shown as one runtime with the
    /// workers of all.
    #[must_use]
    pub fn of(runtimes: impl IntoIterator<Item = (String, Handle)>) -> RuntimeCollector {
        let mut by_name = BTreeMap::<String, Vec<Handle>>::new();
        for (name, handle) in runtimes {
            by_name.entry(name).or_default().push(handle);
        }
        let watched = by_name.into_iter().map(|(name, handles)| Watched::new(name, &handles)).collect();
        RuntimeCollector { watched: Arc::new(Mutex::new(watched)) }
    }
}

/// Makes a runtime record histograms of poll times and schedule latencies. It costs two readings of the clock per
/// poll. Without `tokio_unstable` it does nothing.
pub fn enable_histograms(builder: &mut Builder) -> &mut Builder {
    #[cfg(tokio_unstable)]
    let builder = unstable::enable_histograms(builder);
    builder
}

impl Collect for RuntimeCollector {
    fn name(&self) -> &'static str {
        "runtime"
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        #[allow(unused_mut, reason = "tokio_unstable adds further metrics")]
        let mut metrics = vec![&WORKERS, &LIVE_TASKS, &GLOBAL_QUEUE, &BUSY, &PARKS, &UNSTABLE];
        #[cfg(tokio_unstable)]
        metrics.extend(unstable::METRICS);
        Exposition::register(registry, &metrics, self.watched.clone(), |watched, page| {
            page.put(&UNSTABLE, &[], f64::from(u8::from(cfg!(tokio_unstable))));
            watched.iter().for_each(|one| one.write(page));
        })
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        // All values are atomics, so the lock is held only for a short time.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(Watched::read);
        Ok(())
    }
}

/// All runtimes of one name, and their latest readings.
struct Watched {
    name: String,
    parts: Vec<Part>,
    last: Option<Reading>,
    #[cfg(tokio_unstable)]
    unstable: unstable::Unstable,
}

/// One runtime.
struct Part {
    intervals: RuntimeIntervals,
    metrics: RuntimeMetrics,
}

#[derive(Debug, Default)]
struct Reading {
    workers: usize,
    live_tasks: usize,
    global_queue: usize,
    by_worker: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    label: String,
    busy_seconds: f64,
    parks: u64,
}

impl Watched {
    fn new(name: String, handles: &[Handle]) -> Watched {
        let part = |handle: &Handle| Part {
            intervals: RuntimeMonitor::new(handle).intervals(),
            metrics: handle.metrics(),
        };
        let parts: Vec<_> = handles.iter().map(part).collect();
        Watched {
            name,
            #[cfg(tokio_unstable)]
            unstable: unstable::Unstable::new(parts.iter().map(|part| &part.metrics)),
            parts,
            last: None,
        }
    }

    fn read(&mut self) {
        let mut sum = Reading::default();
        #[cfg(tokio_unstable)]
        self.unstable.begin();
        for (_number, Part { intervals, metrics }) in self.parts.iter_mut().enumerate() {
            let Some(interval) = intervals.next() else { continue };
            for worker in 0..interval.workers_count {
                sum.by_worker.push(Worker {
                    label: (sum.workers + worker).to_string(),
                    busy_seconds: metrics.worker_total_busy_duration(worker).as_secs_f64(),
                    parks: metrics.worker_park_count(worker),
                });
            }
            sum.workers += interval.workers_count;
            sum.live_tasks += interval.live_tasks_count;
            sum.global_queue += interval.global_queue_depth;
            #[cfg(tokio_unstable)]
            self.unstable.read(_number, &interval, metrics);
        }
        self.last = Some(sum);
    }

    fn write(&self, page: &mut Page) {
        let Some(last) = &self.last else { return };
        let runtime = self.name.as_str();
        page.put(&WORKERS, &[runtime], last.workers as f64);
        page.put(&LIVE_TASKS, &[runtime], last.live_tasks as f64);
        page.put(&GLOBAL_QUEUE, &[runtime], last.global_queue as f64);
        for worker in &last.by_worker {
            page.put(&BUSY, &[runtime, &worker.label], worker.busy_seconds);
            page.put(&PARKS, &[runtime, &worker.label], worker.parks as f64);
        }
        #[cfg(tokio_unstable)]
        self.unstable.write(runtime, page);
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("name", &self.name).field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(collector: &mut RuntimeCollector, registry: &Registry) -> String {
        collector.collect().unwrap();
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    fn value(text: &str, series: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Runs `tasks` tasks on two workers. Each task is polled for about a millisecond.
    #[expect(clippy::disallowed_methods, reason = "each task keeps its worker busy")]
    fn worked(tasks: usize) -> (tokio::runtime::Runtime, RuntimeCollector, Registry) {
        let mut builder = Builder::new_multi_thread();
        let runtime = enable_histograms(builder.worker_threads(2).enable_all()).build().unwrap();
        let collector = RuntimeCollector::for_handle("main", runtime.handle().clone());
        let registry = Registry::new();
        collector.register(&registry).unwrap();
        runtime.block_on(async {
            let work = || tokio::spawn(async { std::thread::sleep(Duration::from_millis(1)) });
            let running: Vec<_> = (0..tasks).map(|_| work()).collect();
            for task in running {
                task.await.unwrap();
            }
            // Workers report their times when they park.
            tokio::time::sleep(Duration::from_millis(50)).await;
        });
        (runtime, collector, registry)
    }

    #[test]
    fn runtime_shows_work_by_worker_and_live_tasks() {
        let (runtime, mut collector, registry) = worked(40);
        let live = runtime.spawn(std::future::pending::<()>());
        let text = read(&mut collector, &registry);
        assert_eq!(value(&text, r#"streamgauge_runtime_workers{runtime="main"}"#), 2.0);
        assert_eq!(value(&text, r#"streamgauge_runtime_live_tasks{runtime="main"}"#), 1.0);
        let of_worker = |name, worker| {
            value(&text, &format!(r#"streamgauge_runtime_{name}{{runtime="main",worker="{worker}"}}"#))
        };
        let busy = of_worker("worker_busy_seconds_total", 0) + of_worker("worker_busy_seconds_total", 1);
        // 40 tasks of at least 1 ms each, on two workers.
        assert!(busy >= 0.04, "{busy}");
        assert!(of_worker("worker_parks_total", 0) + of_worker("worker_parks_total", 1) >= 1.0);
        assert_eq!(
            value(&text, "streamgauge_runtime_unstable_metrics"),
            f64::from(u8::from(cfg!(tokio_unstable)))
        );
        live.abort();
    }

    #[test]
    fn runtimes_with_the_same_name_are_shown_as_one() {
        let (one, other) = (worked(4), worked(4));
        let handles = [&one, &other].map(|(runtime, ..)| ("main".to_owned(), runtime.handle().clone()));
        let mut both = RuntimeCollector::of(handles);
        let registry = Registry::new();
        both.register(&registry).unwrap();
        let text = read(&mut both, &registry);
        assert_eq!(value(&text, r#"streamgauge_runtime_workers{runtime="main"}"#), 4.0);
        let workers = text.lines().filter(|line| line.starts_with("streamgauge_runtime_worker_parks_total{"));
        assert_eq!(workers.count(), 4, "{text}");
        #[cfg(tokio_unstable)]
        assert!(value(&text, r#"streamgauge_runtime_poll_seconds_count{runtime="main"}"#) >= 8.0, "{text}");
    }

    #[cfg(tokio_unstable)]
    #[test]
    fn runtime_polls_are_each_counted_once_across_readings() {
        let (runtime, mut collector, registry) = worked(40);
        let series = r#"streamgauge_runtime_poll_seconds"#;
        let first = read(&mut collector, &registry);
        let again = read(&mut collector, &registry);
        let count = |text: &str| value(text, &format!(r#"{series}_count{{runtime="main"}}"#));
        assert!(count(&first) >= 40.0, "{first}");
        let polls: u64 = (0..2).map(|worker| runtime.metrics().worker_poll_count(worker)).sum();
        assert!((count(&again) - polls as f64).abs() <= 2.0, "{polls} {again}");
        let at = |bound: &str| value(&again, &format!(r#"{series}_bucket{{runtime="main",le="{bound}"}}"#));
        // A sleep of 1 ms never takes less, so none of the 40 polls is below that bound.
        assert!(at("+Inf") - at("0.0005") >= 40.0, "{again}");
        assert!(count(&again) == at("+Inf"));
        let latency = r#"streamgauge_runtime_schedule_latency_seconds_count{runtime="main"}"#;
        assert!(value(&again, latency) >= 40.0, "{again}");
        assert_eq!(value(&again, r#"streamgauge_runtime_local_queue_depth{runtime="main",worker="0"}"#), 0.0);
    }
}
