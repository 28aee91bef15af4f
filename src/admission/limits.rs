//! How much one caller may ask for.

use super::rate::Quota;
use crate::scheduler::Priority;

/// The limits of a caller, its weight and its priority; `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of requests.
    pub requests: Option<Quota>,
    /// The number of tokens: of responses, and of prompts without their cached part.
    pub tokens: Option<Quota>,
    /// The number of concurrent streams.
    pub max_streams: Option<usize>,
    /// Its share of slot time relative to other callers, while they wait for the same slots.
    pub weight: u32,
    /// The priority of its requests in the queue.
    pub priority: Priority,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { requests: None, tokens: None, max_streams: None, weight: 1, priority: Priority::Normal }
    }
}
