//! Where a connection is served.

use std::sync::Arc;

use futures_util::future::Either;
use tokio::runtime::Handle;
use tokio_metrics::TaskMonitor;

use super::Proxy;

/// Connections for which one worker is enough. A worker that serves many streams finds several of them ready each
/// time it wakes, and one that serves few wakes for each: on 16 cores, 400 streams of 40 chunks a second cost 0.85 of
/// what they cost nginx on one worker, 0.94 on two and 1.42 on sixteen. 512 such streams take half a core.
const ENOUGH: usize = 512;

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
    let needed = counts.iter().sum::<usize>() / ENOUGH + 1;
    let within = counts.iter().take(needed).enumerate();
    within.min_by_key(|(_, count)| **count).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_filled_before_the_next_is_woken_and_then_all_take_their_turns() {
        let mut counts = [0; 3];
        let mut seen = Vec::new();
        for _ in 0..4 * ENOUGH {
            counts[choose(&counts)] += 1;
            seen.push(counts);
        }
        assert_eq!(seen[ENOUGH - 1], [ENOUGH, 0, 0]);
        assert_eq!(seen[2 * ENOUGH - 1], [ENOUGH, ENOUGH, 0]);
        assert_eq!(seen[3 * ENOUGH - 1], [ENOUGH; 3]);
        let last = counts.map(|count| count.abs_diff(4 * ENOUGH / 3));
        assert!(last.iter().all(|off| *off <= 1), "{counts:?}");
    }

    #[test]
    fn where_some_have_left_their_places_are_filled() {
        assert_eq!(choose(&[3, 0, 500]), 0);
        assert_eq!(choose(&[400, 100, 100]), 1);
        assert_eq!(choose(&[0]), 0);
    }
}
