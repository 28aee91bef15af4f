//! Measures how late the runtime wakes: on an absolute schedule, and as in TR117.

use tokio::{
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

use super::{Clock, SCHEDULE, YIELD, tape::Tape};
use crate::analysis::Probe;

/// Wakes at fixed times and reports how late each wake-up was. A long stall is one late wake-up, however many times
/// it covers.
pub(super) async fn schedule(clock: Clock, tape: &Tape) {
    let mut due = Instant::now() + SCHEDULE;
    loop {
        sleep_until(due).await;
        let now = Instant::now();
        tape.lag(Probe::Schedule, clock.now(), (now - due).as_secs_f64());
        while due <= now {
            due += SCHEDULE;
        }
    }
}

/// TR117's `sleep(0)`: measures the time until the task runs again. It misses everything that blocks the runtime
/// between two probes.
pub(super) async fn by_yielding(clock: Clock, tape: &Tape) {
    loop {
        let before = Instant::now();
        yield_now().await;
        tape.lag(Probe::Yield, clock.now(), before.elapsed().as_secs_f64());
        sleep(YIELD).await;
    }
}
