//! The requests of one caller that wait for the store. At most one call of a caller is in flight, and the requests that
//! arrive meanwhile go together with the next one.

use tokio::sync::oneshot;

/// The requests that wait for a call.
#[derive(Debug)]
pub(super) struct CallLine<T> {
    pub(super) waiting: Vec<Undecided<T>>,
    /// A task makes calls until nothing waits.
    pub(super) is_led: bool,
}

impl<T> Default for CallLine<T> {
    fn default() -> CallLine<T> {
        CallLine { waiting: Vec::new(), is_led: false }
    }
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Undecided<T> {
    pub(super) generates: bool,
    /// Gets `None` if the store does not answer.
    pub(super) answer: oneshot::Sender<Option<T>>,
}
