//! How much one caller may ask for.

use super::rate::Quota;

/// How much one may ask for; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub requests: Option<Quota>,
    /// Tokens of prompts (their uncached part) and answers.
    pub tokens: Option<Quota>,
    /// Streams at once.
    pub max_streams: Option<usize>,
}
