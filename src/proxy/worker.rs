//! Chooses the runtime that serves a connection.

use std::{sync::Arc, time::Duration};

use futures_util::future::Either;
use tokio::{runtime::Handle, time::Instant};
use tokio_metrics::TaskMonitor;

use super::Proxy;

/// The connections for which one worker is enough, and for which each worker after the second is enough. A worker
/// with many streams finds several of them ready when it wakes, while a worker with few streams wakes for each. But
/// a chunk waits while others are handled. Measured on ten cores with 400 streams of 40 chunks/s, divided by the
/// same for nginx, on one to four workers: CPU per chunk 0.96, 1.04, 1.14 and 1.24; delay at p99 2.7, 1.4, 1.2 and
/// 1.1; short requests/s over 64 connections 0.31, 0.63, 0.60 and 0.60.
const FEW: usize = 32;
const MANY: usize = 512;

/// If a worker in use was busy for more than this share of the time, one more serves than the number of connections needs.
/// Few streams of a fast model, or short requests, keep a worker as busy as hundreds of slow streams.
const BUSY: f64 = 0.6;
/// If none was busy for more than this share, one fewer serves. Half of `BUSY`, so that a worker whose connections were
/// divided stays between both.
const CALM: f64 = 0.3;
/// The shortest time over which a share is taken.
const WINDOW: Duration = Duration::from_millis(500);

/// The tasks of one connection in this many are measured, beginning with the first. A measured poll takes four readings
/// of the clock and ten atomic additions to counters that the connections of a worker share.
const MEASURED: usize = 16;

/// A runtime that serves connections. Each has a proxy of its own, so that a stream's connection to its upstream is
/// on the same runtime.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) proxy: Arc<Proxy>,
    /// `None` is the runtime that accepts connections.
    pub(super) runtime: Option<Handle>,
    /// Every connection holds a clone, which counts the connections.
    connection: Arc<()>,
    /// The connections that it was given, the present one included.
    given: usize,
    /// Measures the tasks; `None`: they are not measured.
    tasks: Option<TaskMonitor>,
}

impl Worker {
    /// Measures the task of the connection that the worker was given last, if its turn has come.
    pub(super) fn measured<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.tasks {
            Some(monitor) if self.given % MEASURED == 1 => Either::Left(monitor.instrument(task)),
            _ => Either::Right(task),
        }
    }

    /// How long its threads were busy so far, on average.
    fn busy(&self) -> Duration {
        let Some(metrics) = self.runtime.as_ref().map(Handle::metrics) else { return Duration::ZERO };
        let threads = metrics.num_workers();
        let busy: Duration = (0..threads).map(|thread| metrics.worker_total_busy_duration(thread)).sum();
        busy / u32::try_from(threads).unwrap_or(u32::MAX).max(1)
    }
}

/// All workers, at least one.
#[derive(Debug)]
pub(super) struct Workers {
    all: Vec<Worker>,
    help: Help,
}

/// The workers that serve besides those that the number of connections needs.
#[derive(Debug)]
struct Help {
    workers: usize,
    since: Instant,
    /// How long each worker had been busy then.
    busy: Vec<Duration>,
}

impl Help {
    /// Takes one worker more or fewer if those in use are busy or calm. It is called when a connection comes, since a
    /// connection stays with its worker.
    fn look(&mut self, now: Instant, used: usize, busy: impl Fn() -> Vec<Duration>) {
        let elapsed = now - self.since;
        if elapsed < WINDOW {
            return;
        }
        let before = std::mem::replace(&mut self.busy, busy());
        self.since = now;
        let shares = self.busy.iter().zip(before).take(used);
        let shares = shares.map(|(now, before)| (*now - before).as_secs_f64() / elapsed.as_secs_f64());
        let most = shares.fold(0.0, f64::max);
        if most > BUSY && used < self.busy.len() {
            self.workers += 1;
        } else if most < CALM {
            self.workers = self.workers.saturating_sub(1);
        }
    }
}

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
            Worker { proxy, runtime, connection: Arc::default(), given: 0, tasks: monitor() }
        };
        let mut workers: Vec<_> = runtimes.into_iter().map(|runtime| worker(Some(runtime))).collect();
        if workers.is_empty() {
            workers.push(worker(None));
        }
        let busy = workers.iter().map(Worker::busy).collect();
        Workers { all: workers, help: Help { workers: 0, since: Instant::now(), busy } }
    }

    /// The worker for the next connection, and a guard that the connection holds until it ends.
    pub(super) fn next(&mut self) -> (&Worker, Arc<()>) {
        let counts: Vec<_> =
            self.all.iter().map(|worker| Arc::strong_count(&worker.connection) - 1).collect();
        let needed = needed(counts.iter().sum());
        let busy = || self.all.iter().map(Worker::busy).collect();
        self.help.look(Instant::now(), needed + self.help.workers, busy);
        let worker = &mut self.all[choose(&counts, needed + self.help.workers)];
        worker.given += 1;
        (worker, worker.connection.clone())
    }
}

/// The index of the worker with the fewest connections, among the first `used`.
fn choose(counts: &[usize], used: usize) -> usize {
    let within = counts.iter().take(used).enumerate();
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
            counts[choose(&counts, needed(counts.iter().sum()))] += 1;
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
    fn busy_worker_gets_help_until_all_are_calm() {
        let start = Instant::now();
        let mut help = Help { workers: 0, since: start, busy: vec![Duration::ZERO; 3] };
        // The share of each window in which the busiest worker is busy, and the workers that then help the first.
        let windows = [(0.5, 0), (0.7, 1), (0.4, 1), (0.9, 2), (1.0, 2), (0.2, 1), (0.1, 0), (0.0, 0)];
        let mut busy = Duration::ZERO;
        for (window, (share, expected)) in (1..).zip(windows) {
            busy += WINDOW.mul_f64(share);
            help.look(start + WINDOW * window, 1 + help.workers, || {
                vec![busy, Duration::ZERO, Duration::ZERO]
            });
            assert_eq!(help.workers, expected, "window {window}");
            help.look(start + WINDOW * window + WINDOW / 2, 1, || panic!("too early"));
        }
    }

    #[test]
    fn connections_fill_places_of_closed_ones_first() {
        assert_eq!(choose(&[3, 0, 500], 3), 1);
        assert_eq!(choose(&[400, 100, 100], 2), 1);
        assert_eq!(choose(&[0], 2), 0);
    }
}
