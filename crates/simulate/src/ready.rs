//! A request whose prompt is read.

use std::time::Duration;

use tokio::time::Instant;

use super::{decode::Outcome, shelf::Seat};

/// A request whose prompt is read, with its slot if it needs one.
pub(super) struct Ready {
    pub(super) seat: Option<Seat>,
    pub(super) outcome: Outcome,
    pub(super) asked: Instant,
    pub(super) load: Duration,
    pub(super) prompt_eval: Duration,
    pub(super) prompt_tokens: u32,
    pub(super) cached_tokens: u32,
    /// Whether the context has room for one token only.
    pub(super) full: bool,
}
