//! Settings of the queue.

use std::time::Duration;

/// Settings of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most waiting requests, at all upstreams together. 0: no request waits.
    pub size: usize,
    /// The longest wait.
    pub timeout: Duration,
    /// The parties among which the queue is fair.
    pub fair_by: FairBy,
    /// The wait after which the requests of a priority rise by one class.
    pub priority_aging: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            size: 128,
            timeout: Duration::from_secs(60),
            fair_by: FairBy::Caller,
            priority_aging: Duration::from_secs(10),
        }
    }
}

/// The parties among which the queue is fair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FairBy {
    /// Callers share slot time by their weights.
    #[default]
    Caller,
    /// First come, first served.
    None,
}
