//! The wish to end: politely first, then at once.

use tokio_util::sync::CancellationToken;

/// Raised by the first and the second signal; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    drain: CancellationToken,
    now: CancellationToken,
}

impl Stop {
    /// The first call asks to drain, the second to stop at once.
    pub fn raise(&self) {
        if self.drain.is_cancelled() {
            self.now.cancel();
        } else {
            self.drain.cancel();
        }
    }

    /// Ends when draining is wanted.
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        self.drain.clone().cancelled_owned()
    }

    /// Ends when stopping at once is wanted.
    pub fn now(&self) -> impl Future<Output = ()> + Send + 'static {
        self.now.clone().cancelled_owned()
    }
}
