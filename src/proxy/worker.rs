//! Where a connection is served.

use std::sync::Arc;

use futures_util::future::Either;
use tokio::runtime::Handle;
use tokio_metrics::TaskMonitor;

use super::Proxy;

/// Connections for which one worker is enough, and for which each after the second is. A worker that serves many
/// streams finds several of them ready each time it wakes, and one that serves few wakes for each; but what comes when
/// others come waits its turn. On ten cores, 400 streams of 40 chunks a second, by what the same costs nginx: CPU a
/// chunk 0.96, 1.04, 1.14 and 1.24 on one to four workers, its delay at p99 2.7, 1.4, 1.2 and 1.1, and short requests a
/// second over 64 connections 0.31, 0.63, 0.60 and 0.60.
const FEW: usize = 32;
const MANY: usize = 512;

/// A runtime that serves connections. Each has a proxy of its own, so that the connections to upstreams that a
/// stream uses are driven where it is.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) proxy: Arc<Proxy>,
    /// `None` is the runtime that accepts.
    pub(super) runtime: Option<Handle>,
    /// Every connection has a clone of it.
    connection: Arc<()>,
    /// What their tasks spend; `None` is not measured.
    pub(super) tasks: Option<TaskMonitor>,
}

impl Worker {
    /// Measures a task of it.
    pub(super) fn measured<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.tasks {
            Some(monitor) => Either::Left(monitor.instrument(task)),
            None => Either::Right(task),
        }
    }
}

/// All of them; one at least.
#[derive(Debug)]
pub(super) struct Workers(Vec<Worker>);

impl Workers {
    /// On these runtimes; where there are none, on the one that accepts. `monitor` measures the tasks of one.
    pub(super) fn new(
        proxy: &Proxy,
        runtimes: Vec<Handle>,
        monitor: impl Fn() -> Option<TaskMonitor>,
    ) -> Workers {
        let worker = |runtime| {
            let proxy = Arc::new(proxy.again());
            Worker { proxy, runtime, connection: Arc::default(), tasks: monitor() }
        };
        let mut workers: Vec<_> = runtimes.into_iter().map(|runtime| worker(Some(runtime))).collect();
        if workers.is_empty() {
            workers.push(worker(None));
        }
        Workers(workers)
    }

    /// The one for the next connection, and what that connection has to hold until it ends.
    pub(super) fn next(&self) -> (&Worker, Arc<()>) {
        let counts = self.0.iter().map(|worker| Arc::strong_count(&worker.connection) - 1);
        let worker = &self.0[choose(&counts.collect::<Vec<_>>())];
        (worker, worker.connection.clone())
    }
}

/// The one with the fewest among as many as are needed.
fn choose(counts: &[usize]) -> usize {
    let within = counts.iter().take(needed(counts.iter().sum())).enumerate();
    within.min_by_key(|(_, count)| **count).map_or(0, |(index, _)| index)
}

/// How many workers this many connections are spread over, if there are as many.
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
