//! How late a runtime wakes what is due.

use std::{future::Future, time::Duration};

use prometheus::Registry;
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    time::{Instant, sleep_until},
};

use super::vital::Vital;
use streamgauge_meter::metric::{Family, Histogram, buckets};

pub(super) const NAME: &str = "lag";

/// After so long it is judged anew whether the runtime is idle:
const WINDOW: Duration = Duration::from_secs(1);
/// busy for less than this part of one core,
const IDLE: u32 = 100;
/// it is probed at this interval, if the one that is set is shorter,
const IDLE_EVERY: Duration = Duration::from_millis(100);
/// and after so many such seconds in a row at this one.
const LONG_IDLE: u32 = 30;
const LONG_IDLE_EVERY: Duration = Duration::from_secs(1);

/// Sleeps on an absolute schedule and records how late each sleep ended: time that a worker spent on something
/// else, waited for a core, or lost to the timer's own grain. Tokio's timer ticks once a millisecond, so that an
/// idle runtime shows up to 1.1 ms; on a runtime of several workers, one blocked worker alone may not show.
///
/// A runtime that used less than a hundredth of a core in the last second is probed every 100 ms, and after half a
/// minute of such seconds once in each, for there is nobody to be late for, and to wake a core for each probe costs
/// more than everything else that collects.
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
        let help = "How late a timer woke on the runtime, seconds; idle: up to the timer's grain of 1 ms.";
        let make = || Histogram::new(buckets::LAG);
        Ok(LagProbe { lag: Family::register(registry, "runtime_lag_seconds", help, ["runtime"], make)? })
    }

    /// Probes for ever, the runtime that it is spawned on.
    pub fn probe(&self, runtime: &str, every: Duration) -> impl Future<Output = ()> + Send + use<> {
        let lag = self.lag.child([runtime]);
        run(every, move |late| lag.observe(late.as_secs_f64()))
    }

    pub(super) fn watch(
        &self,
        runtime: &str,
        every: Duration,
        vital: Vital,
    ) -> impl Future<Output = ()> + Send + use<> {
        let lag = self.lag.child([runtime]);
        run(every, move |late| {
            vital.time(|| {
                lag.observe(late.as_secs_f64());
                Ok(())
            });
        })
    }
}

async fn run(every: Duration, observe: impl Fn(Duration)) {
    // A grid of no width would be a busy loop.
    let every = every.max(Duration::from_millis(1));
    let mut due = Instant::now() + every;
    let mut pace = Pace::new(every, Handle::current().metrics());
    loop {
        sleep_until(due).await;
        let now = Instant::now();
        observe(now.saturating_duration_since(due));
        let step = pace.step(now);
        // One long stall is one late wake-up, not one for each that it covered.
        while due <= now {
            due += step;
        }
    }
}

/// Probes less often while the runtime has next to nothing to do: to wake a sleeping core costs some 50 µs of it,
/// which is all that a probe costs.
#[derive(Debug)]
struct Pace {
    every: Duration,
    runtime: RuntimeMetrics,
    since: Instant,
    /// Of all workers, at `since`.
    busy: Duration,
    /// Windows in a row.
    idle: u32,
}

impl Pace {
    fn new(every: Duration, runtime: RuntimeMetrics) -> Pace {
        Pace { every, busy: busy(&runtime), runtime, since: Instant::now(), idle: 0 }
    }

    /// To the next probe: a multiple of the interval.
    fn step(&mut self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let busy = busy(&self.runtime);
            let is_idle = busy.saturating_sub(self.busy) * IDLE < elapsed;
            self.idle = if is_idle { self.idle.saturating_add(1) } else { 0 };
            (self.since, self.busy) = (now, busy);
        }
        let least = match self.idle {
            0 => return self.every,
            1..=LONG_IDLE => IDLE_EVERY,
            _ => LONG_IDLE_EVERY,
        };
        let times = least.as_nanos().div_ceil(self.every.as_nanos());
        self.every * u32::try_from(times).unwrap_or(1)
    }
}

/// Time that its workers were not parked, a blocked one too once it goes on.
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
        (seen, run(EVERY, move |late| into.lock().unwrap().push(late)))
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "to block the worker is what it is for")]
    async fn a_worker_blocked_for_50_ms_is_found() {
        let (seen, run) = probe();
        tokio::spawn(run);
        tokio::time::sleep(EVERY * 3).await;
        let before = seen.lock().unwrap().len();
        // The one worker there is.
        std::thread::sleep(Duration::from_millis(50));
        tokio::time::sleep(EVERY * 3).await;
        let seen = seen.lock().unwrap();
        // The probe was due within 10 ms of the block, and late by the rest of it.
        let worst = seen[before..].iter().max().copied().unwrap();
        assert!(worst >= Duration::from_millis(39), "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_stall_is_one_late_wake_up() {
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
    #[expect(clippy::disallowed_methods, reason = "to block the worker is what it is for")]
    async fn a_worker_of_an_idle_runtime_that_is_blocked_again_and_again_is_found() {
        let (seen, run) = probe();
        tokio::spawn(run);
        tokio::time::sleep(WINDOW + IDLE_EVERY * 5).await;
        let before = seen.lock().unwrap().len();
        // Anywhere between two probes the first time; then it is no longer idle.
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
    async fn the_schedule_does_not_drift() {
        let (seen, run) = probe();
        let running = tokio::spawn(run);
        tokio::time::sleep(Duration::from_secs(60)).await;
        running.abort();
        let seen = seen.lock().unwrap();
        // A hundred in the first second; from then on, with nothing else to do, ten a second, and one a second in the
        // last half minute. A second in which this thread was kept from running may count as busy.
        assert!((415..=3_000).contains(&seen.len()), "{}", seen.len());
        assert!(seen.iter().all(|late| *late < Duration::from_millis(2)), "{seen:?}");
    }
}
