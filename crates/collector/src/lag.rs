//! Measures how late a runtime wakes a task whose timer is due.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use prometheus::Registry;
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use super::vital::Vital;
use streamgauge_meter::metric::{Family, Histogram, buckets};

pub(super) const NAME: &str = "lag";

/// The interval at which the probe decides whether the runtime is idle.
const WINDOW: Duration = Duration::from_secs(1);
/// A runtime is idle if it used less than this part of one core: 1 / `IDLE`.
const IDLE: u32 = 100;
/// The interval of probes for an idle runtime, if the configured interval is shorter.
const IDLE_EVERY: Duration = Duration::from_millis(100);
/// After so many idle windows in a row, the runtime is probed once per window.
const LONG_IDLE: u32 = 30;
const LONG_IDLE_EVERY: Duration = Duration::from_secs(1);
/// The same for a runtime whose probe is roused when the runtime is busy again.
pub(super) const ROUSED_EVERY: Duration = Duration::from_secs(10);

/// Sleeps on an absolute schedule and records how late each sleep ended. The lag is time in which a worker did
/// something else or waited for a core, or it is the timer's resolution. Tokio's timer has a resolution of 1 ms, so
/// an idle runtime shows up to 1.1 ms. On a runtime with several workers, one blocked worker alone may not show.
///
/// If a runtime used less than one hundredth of a core in the last second, it is probed every 100 ms. After half a
/// minute of such seconds, it is probed once per second. An idle runtime delays no stream, and waking a core for each
/// probe costs more than all other collectors together. [`Collectors`](super::Collectors) probe such a runtime once in ten
/// seconds, and notice within a second that it is busy again.
///
/// ```no_run
/// # async fn example() -> prometheus::Result<()> {
/// use std::time::Duration;
/// use streamgauge_collector::LagProbe;
///
/// let probe = LagProbe::register(&prometheus::Registry::new())?;
/// tokio::spawn(probe.probe("main", Duration::from_millis(10)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LagProbe {
    lag: Family<Histogram, 1>,
}

impl LagProbe {
    /// Registers `streamgauge_runtime_lag_seconds`.
    ///
    /// # Errors
    /// The registry has the name already.
    pub fn register(registry: &Registry) -> prometheus::Result<LagProbe> {
        let help = "How late the runtime woke a timer, seconds. An idle runtime shows up to 1.1 ms, because the timer has a resolution of 1 ms.";
        let make = || Histogram::new(buckets::LAG);
        Ok(LagProbe { lag: Family::register(registry, "runtime_lag_seconds", help, ["runtime"], make)? })
    }

    /// Probes the runtime on which the future is spawned, without end.
    pub fn probe(&self, runtime: &str, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let lag = self.lag.child([runtime]);
        run(every, None, move |late| lag.observe(late.as_secs_f64()))
    }

    pub(super) fn watch(
        &self,
        runtime: &str,
        every: Duration,
        vital: Vital,
        busy_again: Arc<Notify>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let lag = self.lag.child([runtime]);
        run(every, Some(busy_again), move |late| {
            vital.time(|| {
                lag.observe(late.as_secs_f64());
                Ok(())
            });
        })
    }
}

/// Wakes the probe of each runtime that is busy again. Idle runtimes are not woken.
pub(super) async fn rouse(runtimes: Vec<(RuntimeMetrics, Arc<Notify>)>) {
    let mut ticks = interval(WINDOW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut since = ticks.tick().await;
    let mut before: Vec<_> = runtimes.iter().map(|(metrics, _)| busy(metrics)).collect();
    loop {
        let now = ticks.tick().await;
        for ((metrics, probe), before) in runtimes.iter().zip(&mut before) {
            let busy = busy(metrics);
            if !is_idle(busy.saturating_sub(*before), now - since) {
                probe.notify_one();
            }
            *before = busy;
        }
        since = now;
    }
}

async fn run(every: Duration, busy_again: Option<Arc<Notify>>, observe: impl Fn(Duration)) {
    // An interval of zero would be a busy loop.
    let every = every.max(Duration::from_millis(1));
    let mut due = Instant::now() + every;
    let mut pace = Pace::new(every, Handle::current().metrics(), busy_again.is_some());
    loop {
        let roused = async {
            match &busy_again {
                Some(busy_again) if pace.is_long_idle() => busy_again.notified().await,
                _ => pending().await,
            }
        };
        if timeout_at(due, roused).await.is_ok() {
            let now = Instant::now();
            pace.rouse(now);
            due = now + every;
            continue;
        }
        let now = Instant::now();
        observe(now.saturating_duration_since(due));
        let step = pace.step(now);
        // One long stall is one late wake-up, however many probes it covered.
        while due <= now {
            due += step;
        }
    }
}

/// Probes an idle runtime less often. Waking a sleeping core costs some 50 µs, which is nearly the whole cost of a
/// probe.
#[derive(Debug)]
struct Pace {
    every: Duration,
    runtime: RuntimeMetrics,
    since: Instant,
    /// Busy time of all workers, at `since`.
    busy: Duration,
    /// The number of idle windows in a row.
    idle: u32,
    is_roused: bool,
}

impl Pace {
    fn new(every: Duration, runtime: RuntimeMetrics, is_roused: bool) -> Pace {
        Pace { every, busy: busy(&runtime), runtime, since: Instant::now(), idle: 0, is_roused }
    }

    fn rouse(&mut self, now: Instant) {
        (self.idle, self.since, self.busy) = (0, now, busy(&self.runtime));
    }

    fn is_long_idle(&self) -> bool {
        self.idle > LONG_IDLE
    }

    /// Returns the time to the next probe: a multiple of the interval.
    fn step(&mut self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let busy = busy(&self.runtime);
            let is_idle = is_idle(busy.saturating_sub(self.busy), elapsed);
            self.idle = if is_idle { self.idle.saturating_add(1) } else { 0 };
            (self.since, self.busy) = (now, busy);
        }
        let least = match self.idle {
            0 => return self.every,
            1..=LONG_IDLE => IDLE_EVERY,
            _ if self.is_roused => ROUSED_EVERY,
            _ => LONG_IDLE_EVERY,
        };
        let times = least.as_nanos().div_ceil(self.every.as_nanos());
        self.every * u32::try_from(times).unwrap_or(1)
    }
}

fn is_idle(busy: Duration, elapsed: Duration) -> bool {
    busy * IDLE < elapsed
}

/// Returns the time in which the workers were not parked. The time of a blocked worker is added when it continues.
fn busy(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const EVERY: Duration = Duration::from_millis(10);

    fn probe() -> (Arc<Mutex<Vec<Duration>>>, impl Future<Output = ()> + Send) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        (seen, run(EVERY, None, move |late| into.lock().unwrap().push(late)))
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test blocks the worker on purpose")]
    async fn lag_of_worker_blocked_for_50_ms_is_measured() {
        let (seen, run) = probe();
        tokio::spawn(run);
        tokio::time::sleep(EVERY * 3).await;
        let before = seen.lock().unwrap().len();
        // The only worker of the runtime.
        std::thread::sleep(Duration::from_millis(50));
        tokio::time::sleep(EVERY * 3).await;
        let seen = seen.lock().unwrap();
        // The probe was due within 10 ms after the block began, and was late by the rest of the block.
        let worst = seen[before..].iter().max().copied().unwrap();
        assert!(worst >= Duration::from_millis(39), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lag_of_one_stall_is_one_late_wake_up() {
        let (seen, run) = probe();
        tokio::spawn(run);
        tokio::time::sleep(EVERY * 3).await;
        tokio::time::advance(Duration::from_millis(55)).await;
        tokio::time::sleep(EVERY * 10).await;
        let seen = seen.lock().unwrap();
        let late = seen.iter().filter(|late| **late >= Duration::from_millis(5)).count();
        assert_eq!(late, 1, "{seen:?}");
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test blocks the worker on purpose")]
    async fn lag_of_repeatedly_blocked_worker_in_idle_runtime_is_measured() {
        let (seen, run) = probe();
        tokio::spawn(run);
        tokio::time::sleep(WINDOW + IDLE_EVERY * 5).await;
        let before = seen.lock().unwrap().len();
        // The first block falls anywhere between two probes. After it, the runtime is no longer idle.
        for _ in 0..7 {
            tokio::time::sleep(Duration::from_millis(273)).await;
            std::thread::sleep(Duration::from_millis(50));
        }
        tokio::time::sleep(EVERY * 3).await;
        let seen = seen.lock().unwrap();
        let worst = seen[before..].iter().max().copied().unwrap();
        assert!(worst >= Duration::from_millis(39), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lag_schedule_does_not_drift() {
        let (seen, run) = probe();
        let running = tokio::spawn(run);
        tokio::time::sleep(Duration::from_secs(60)).await;
        running.abort();
        let seen = seen.lock().unwrap();
        // A hundred probes in the first second, then ten a second while nothing else runs, and one a second in the
        // last half minute. A second in which the system did not run this thread may count as busy.
        assert!((415..=3_000).contains(&seen.len()), "{}", seen.len());
        assert!(seen.iter().all(|late| *late < Duration::from_millis(2)), "{seen:?}");
    }

    /// The idle runtime is that of the test's thread. Time passes by itself, as it is paused.
    #[tokio::test(start_paused = true)]
    async fn lag_of_roused_probe_is_measured_every_ten_seconds_until_runtime_is_busy() {
        let (seen, _) = probe();
        let (into, busy_again) = (seen.clone(), Arc::new(Notify::new()));
        let probe = run(EVERY, Some(busy_again.clone()), move |late| into.lock().unwrap().push(late));
        tokio::spawn(probe);
        let count = || seen.lock().unwrap().len();
        let mut idle = 0;
        // The system may not run this thread for a while, which counts as busy.
        for _ in 0..100 {
            let before = count();
            tokio::time::sleep(Duration::from_secs(60)).await;
            idle = count() - before;
            if idle <= 7 {
                break;
            }
        }
        let before = count();
        busy_again.notify_one();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let roused = count() - before;
        assert!((5..=7).contains(&idle) && roused >= 45, "{idle} {roused}");
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test blocks the worker on purpose")]
    async fn probe_of_busy_runtime_is_roused_and_that_of_idle_runtime_is_not() {
        let idle = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        // Its worker has started.
        while idle.metrics().worker_park_count(0) == 0 {
            tokio::task::yield_now().await;
        }
        let (own, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let of = |handle: &Handle, probe: &Arc<Notify>| (handle.metrics(), probe.clone());
        let _rouse = tokio::spawn(rouse(vec![of(&Handle::current(), &own), of(idle.handle(), &other)]));
        let busy = async {
            loop {
                std::thread::sleep(Duration::from_millis(20));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! { () = own.notified() => {}, never = busy => match never {} }
        assert!(futures_util::FutureExt::now_or_never(other.notified()).is_none());
        idle.shutdown_background();
    }
}
