//! The pace of a stream.

use std::sync::Arc;

use super::adaptive::Adaptive;

/// The pace of one stream: a fixed one, an adaptive one, or the slower of both.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    pub(super) fixed: Option<u32>,
    pub(super) adaptive: Option<Arc<Adaptive>>,
}

impl Rate {
    /// Whether there is a pace.
    pub(super) fn is_set(&self) -> bool {
        self.fixed.is_some() || self.adaptive.is_some()
    }

    /// Returns the present tokens per second.
    pub(super) fn now(&self) -> f64 {
        let fixed = self.fixed.map_or(f64::INFINITY, f64::from);
        self.adaptive.as_ref().map_or(fixed, |adaptive| adaptive.rate().min(fixed))
    }
}
