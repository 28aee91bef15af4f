//! How much one caller may ask for.

use super::rate::Quota;

/// The limits of a caller; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The number of requests.
    pub requests: Option<Quota>,
    /// The number of tokens: of responses, and of prompts without their cached part.
    pub tokens: Option<Quota>,
    /// The number of concurrent streams.
    pub max_streams: Option<usize>,
}
