//! How late the runtime wakes: on an absolute schedule, and by the report's way.

use tokio::{
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

use super::{Clock, SCHEDULE, YIELD, tape::Tape};
use crate::analysis::Probe;

/// Wakes at fixed times and tells how late each was. A long stall is one late wake-up, not one for each time in it.
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

/// The report's `sleep(0)`: how long until one's next turn. It misses what blocks the runtime between two looks.
pub(super) async fn by_yielding(clock: Clock, tape: &Tape) {
    loop {
        let before = Instant::now();
        yield_now().await;
        tape.lag(Probe::Yield, clock.now(), before.elapsed().as_secs_f64());
        sleep(YIELD).await;
    }
}
