//! The function that is called after each probe.

use std::{fmt, sync::OnceLock};

use super::server::Upstream;

/// The function to call after each probe.
#[derive(Default)]
pub(super) struct Hook(pub(super) OnceLock<Box<Probed>>);

pub(super) type Probed = dyn Fn(&Upstream) + Send + Sync;

impl Hook {
    pub(super) fn probed(&self, upstream: &Upstream) {
        if let Some(hook) = self.0.get() {
            hook(upstream);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").finish_non_exhaustive()
    }
}
