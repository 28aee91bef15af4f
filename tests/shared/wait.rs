//! Waits that end: a condition that never holds fails its test and is named. A loop without a deadline would stop the
//! whole run, and would not say why.

#![allow(dead_code, reason = "not every program that includes it waits in both ways")]

use std::{thread, time::Duration};

/// Longer than any step, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Short for a test, and long enough to leave the processor to the program that is waited for.
const BETWEEN: Duration = Duration::from_millis(5);

/// Asks until the condition holds, outside of async code.
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "no async code: it waits for a process"
)]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(BETWEEN);
    }
}

/// Asks until the condition holds, in async code.
pub(crate) async fn until_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(BETWEEN).await;
    }
}
