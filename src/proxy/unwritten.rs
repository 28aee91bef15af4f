//! Tells whether the client's connection has written everything of a response.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::Context,
};

/// Whether hyper holds bytes of a response that it has not written. A connection and its bodies share it, and one
/// task polls them.
#[derive(Clone, Debug, Default)]
pub(super) struct Unwritten(Arc<AtomicU8>);

impl Unwritten {
    const NOTHING: u8 = 0;
    const SOMETHING: u8 = 1;
    const AWAITED: u8 = 2;

    pub(super) fn added(&self) {
        self.0.store(Self::SOMETHING, Relaxed);
    }

    /// Whether everything is written. If not, the task is woken when it is.
    pub(super) fn is_over(&self) -> bool {
        let over = self.0.load(Relaxed) == Self::NOTHING;
        if !over {
            self.0.store(Self::AWAITED, Relaxed);
        }
        over
    }

    /// Whether hyper holds bytes that it has not written.
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Relaxed) != Self::NOTHING
    }

    /// Notes that hyper holds nothing more, since it flushed its connection.
    pub(super) fn flushed(&self, cx: &Context<'_>) {
        if self.0.load(Relaxed) == Self::AWAITED {
            cx.waker().wake_by_ref();
        }
        self.0.store(Self::NOTHING, Relaxed);
    }
}
