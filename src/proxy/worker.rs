//! Chooses the runtime that serves a connection.

use std::sync::Arc;

use futures_util::future::Either;
use tokio::runtime::Handle;
use tokio_metrics::TaskMonitor;

use super::Proxy;

/// The connections for which one worker is enough, and for which each worker after the second is enough. A worker
/// with many streams finds several of them ready when it wakes, while a worker with few streams wakes for each. But
/// a chunk waits while others are handled. Measured on ten cores with 400 streams of 40 chunks/s, divided by the
/// same for nginx, on one to four workers: CPU per chunk 0.96, 1.04, 1.14 and 1.24; delay at p99 2.7, 1.4, 1.2 and
/// 1.1; short requests/s over 64 connections 0.31, 0.63, 0.60 and 0.60.
const FEW: usize = 32;
const MANY: usize = 512;

/// A runtime that serves connections. Each has a proxy of its own, so that a stream's connection to its upstream is
/// on the same runtime.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) proxy: Arc<Proxy>,
    /// `None` is the runtime that accepts connections.
    pub(super) runtime: Option<Handle>,
    /// Every connection holds a clone, which counts the connections.
    connection: Arc<()>,
    /// Measures the tasks; `None`: they are not measured.
    pub(super) tasks: Option<TaskMonitor>,
}

impl Worker {
    /// Measures a task of this worker.
    pub(super) fn measured<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.tasks {
            Some(monitor) => Either::Left(monitor.instrument(task)),
            None => Either::Right(task),
        }
    }
}

/// All workers, at least one.
#[derive(Debug)]
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    /// Workers on these runtimes, or on the runtime that accepts if there are none. `monitor` creates the task
    /// monitor of one worker.
    pub(super) fn new(
        proxy: &Proxy,
        runtimes: Vec<Handle>,
        monitor: impl Fn() -> Option<TaskMonitor>,
    ) -> Workers {
        let worker = |runtime| {
            let proxy = Arc::new(proxy.with_own_connections());
            Worker { proxy, runtime, connection: Arc::default(), tasks: monitor() }
        };
        let mut workers: Vec<_> = runtimes.into_iter().map(|runtime| worker(Some(runtime))).collect();
        if workers.is_empty() {
            workers.push(worker(None));
        }
        Workers(workers)
    }

    /// The worker for the next connection, and a guard that the connection holds until it ends.
    pub(super) fn next(&self) -> (&Worker, Arc<()>) {
        let counts = self.0.iter().map(|worker| Arc::strong_count(&worker.connection) - 1);
        let worker = &self.0[choose(&counts.collect::<Vec<_>>())];
        (worker, worker.connection.clone())
    }
}

/// The index of the worker with the fewest connections, among as many workers as are needed.
fn choose(counts: &[usize]) -> usize {
    let within = counts.iter().take(needed(counts.iter().sum())).enumerate();
    within.min_by_key(|(_, count)| **count).map_or(0, |(index, _)| index)
}

/// The number of workers over which this many connections are spread, if there are as many.
fn needed(connections: usize) -> usize {
    (connections / MANY + 1).max(if connections < FEW { 1 } else { 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_use_one_worker_if_few_and_all_if_many() {
        let mut counts = [0; 3];
        let mut seen = Vec::new();
        for _ in 0..4 * MANY {
            counts[choose(&counts)] += 1;
            seen.push(counts);
        }
        assert_eq!(seen[FEW - 1], [FEW, 0, 0]);
        assert_eq!(seen[2 * FEW - 1], [FEW, FEW, 0]);
        assert_eq!(seen[2 * MANY - 1], [MANY, MANY, 0]);
        assert_eq!(seen[3 * MANY - 1], [MANY; 3]);
        let last = counts.map(|count| count.abs_diff(4 * MANY / 3));
        assert!(last.iter().all(|off| *off <= 1), "{counts:?}");
    }

    #[test]
    fn connections_fill_places_of_closed_ones_first() {
        assert_eq!(choose(&[3, 0, 500]), 1);
        assert_eq!(choose(&[400, 100, 100]), 1);
        assert_eq!(choose(&[0]), 0);
    }
}
