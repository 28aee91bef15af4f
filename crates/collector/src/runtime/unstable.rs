//! The metrics that Tokio provides only with `tokio_unstable`.

use std::{sync::Arc, time::Duration};

use tokio::runtime::{Builder, HistogramConfiguration, LogHistogram, RuntimeMetrics};

use super::tally::Tally;
use streamgauge_meter::metric::{Histogram, Metric, Page, buckets};

const POLL: Metric = Metric::histogram(
    "streamgauge_runtime_poll_seconds",
    "How long workers polled tasks, seconds. The sum is approximate: the middle of each of Tokio's buckets × its count.",
    &["runtime"],
);
const LATENCY: Metric = Metric::histogram(
    "streamgauge_runtime_schedule_latency_seconds",
    "How long woken tasks waited for a worker, seconds. The sum is approximate: the middle of each of Tokio's buckets × its count.",
    &["runtime"],
);
const STEALS: Metric = Metric::counter(
    "streamgauge_runtime_steals_total",
    "Tasks that a worker took from the queue of another worker.",
    &["runtime"],
);
const LOCAL_QUEUE: Metric = Metric::gauge(
    "streamgauge_runtime_local_queue_depth",
    "Tasks that wait in the worker's own queue.",
    &["runtime", "worker"],
);
const BLOCKING_THREADS: Metric =
    Metric::gauge("streamgauge_runtime_blocking_threads", "Threads for blocking work.", &["runtime"]);
const BLOCKING_QUEUE: Metric = Metric::gauge(
    "streamgauge_runtime_blocking_queue_depth",
    "Blocking calls that wait for a thread.",
    &["runtime"],
);
const FORCED_YIELDS: Metric = Metric::counter(
    "streamgauge_runtime_forced_yields_total",
    "How often Tokio made a task yield because the task had used its budget.",
    &["runtime"],
);
const IO_READY: Metric = Metric::counter(
    "streamgauge_runtime_io_ready_total",
    "Readiness events of sockets and other I/O sources.",
    &["runtime"],
);

pub(super) const METRICS: [&Metric; 8] =
    [&POLL, &LATENCY, &STEALS, &LOCAL_QUEUE, &BLOCKING_THREADS, &BLOCKING_QUEUE, &FORCED_YIELDS, &IO_READY];

/// Enables both histograms with two buckets for each doubling. Tokio copies every bucket each time a worker parks,
/// which with eight for each doubling was half of all instructions of a chunk that comes alone.
pub(super) fn enable_histograms(builder: &mut Builder) -> &mut Builder {
    let grain = LogHistogram::builder()
        .min_value(Duration::from_micros(2))
        .max_value(Duration::from_secs(2))
        .max_error(0.5)
        .build();
    builder
        .enable_metrics_poll_time_histogram()
        .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(grain))
        .enable_metrics_schedule_latency_histogram()
        .metrics_schedule_latency_histogram_configuration(HistogramConfiguration::log(grain))
}

/// The latest readings of the runtimes of one name, and the sums of the intervals so far.
pub(super) struct Unstable {
    /// One per runtime. All of them add to the same histogram.
    polls: Vec<Tally>,
    latencies: Vec<Tally>,
    poll: Arc<Histogram>,
    latency: Arc<Histogram>,
    steals: u64,
    forced_yields: u64,
    io_ready: u64,
    blocking_threads: usize,
    blocking_queue: usize,
    local_queues: Vec<usize>,
}

impl Unstable {
    pub(super) fn new<'a>(runtimes: impl Iterator<Item = &'a RuntimeMetrics>) -> Unstable {
        let histogram = || Arc::new(Histogram::new(buckets::POLL));
        let mut unstable = Unstable {
            polls: Vec::new(),
            latencies: Vec::new(),
            poll: histogram(),
            latency: histogram(),
            steals: 0,
            forced_yields: 0,
            io_ready: 0,
            blocking_threads: 0,
            blocking_queue: 0,
            local_queues: Vec::new(),
        };
        for metrics in runtimes {
            let polls = 0..metrics.poll_time_histogram_num_buckets();
            let ranges = polls.map(|bucket| metrics.poll_time_histogram_bucket_range(bucket));
            unstable.polls.push(Tally::new(ranges, unstable.poll.clone()));
            let latencies = 0..metrics.schedule_latency_histogram_num_buckets();
            let ranges = latencies.map(|bucket| metrics.schedule_latency_histogram_bucket_range(bucket));
            unstable.latencies.push(Tally::new(ranges, unstable.latency.clone()));
        }
        unstable
    }

    /// Prepares for the reading of the runtimes, one after another.
    pub(super) fn begin(&mut self) {
        self.blocking_threads = 0;
        self.blocking_queue = 0;
        self.local_queues.clear();
    }

    pub(super) fn read(
        &mut self,
        runtime: usize,
        interval: &tokio_metrics::RuntimeMetrics,
        metrics: &RuntimeMetrics,
    ) {
        let workers = interval.workers_count;
        let over_workers = |count: &dyn Fn(usize) -> u64| (0..workers).map(count).sum();
        self.polls[runtime]
            .read(|bucket| over_workers(&|worker| metrics.poll_time_histogram_bucket_count(worker, bucket)));
        self.latencies[runtime].read(|bucket| {
            over_workers(&|worker| metrics.schedule_latency_histogram_bucket_count(worker, bucket))
        });
        self.steals += interval.total_steal_count;
        self.forced_yields += interval.budget_forced_yield_count;
        self.io_ready += interval.io_driver_ready_count;
        self.blocking_threads += interval.blocking_threads_count;
        self.blocking_queue += interval.blocking_queue_depth;
        self.local_queues.extend((0..workers).map(|worker| metrics.worker_local_queue_depth(worker)));
    }

    pub(super) fn write(&self, runtime: &str, page: &mut Page) {
        // If no runtime has a histogram, this collector exports none either, instead of an empty one.
        if !self.polls.iter().all(Tally::is_empty) {
            page.put_child(&POLL, &[runtime], &*self.poll);
        }
        if !self.latencies.iter().all(Tally::is_empty) {
            page.put_child(&LATENCY, &[runtime], &*self.latency);
        }
        page.put(&STEALS, &[runtime], self.steals as f64);
        page.put(&FORCED_YIELDS, &[runtime], self.forced_yields as f64);
        page.put(&IO_READY, &[runtime], self.io_ready as f64);
        page.put(&BLOCKING_THREADS, &[runtime], self.blocking_threads as f64);
        page.put(&BLOCKING_QUEUE, &[runtime], self.blocking_queue as f64);
        for (worker, depth) in self.local_queues.iter().enumerate() {
            page.put(&LOCAL_QUEUE, &[runtime, &worker.to_string()], *depth as f64);
        }
    }
}
