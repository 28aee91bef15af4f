//! Follows the text for the program.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::sync::watch;

use super::StoredText;
use crate::store::core::StoreCore;

/// Follows the text with keys of callers.
#[derive(Debug)]
pub(crate) struct StoredKeys {
    shared: Arc<StoreCore>,
    last: watch::Receiver<Option<StoredText>>,
}

impl StoredKeys {
    pub(in crate::store) fn new(shared: Arc<StoreCore>) -> StoredKeys {
        let last = shared.keys.last.subscribe();
        StoredKeys { shared, last }
    }

    /// The key of the text.
    pub(crate) fn name(&self) -> &str {
        &self.shared.keys.name
    }

    /// Reads the text from now on, or no more.
    pub(crate) fn follow(&self, follows: bool) {
        let keys = &self.shared.keys;
        let changes =
            keys.is_followed.send_if_modified(|followed| std::mem::replace(followed, follows) != follows);
        if changes && !follows {
            keys.is_in_force.store(false, Relaxed);
            keys.last.send_replace(None);
        }
    }

    /// Waits until the text differs from the one at the last return. Never returns if it is not followed.
    pub(crate) async fn changed(&mut self) -> StoredText {
        loop {
            if self.last.changed().await.is_err() {
                return pending().await;
            }
            if let Some(text) = self.latest() {
                return text;
            }
        }
    }

    /// The last text.
    pub(crate) fn latest(&self) -> Option<StoredText> {
        self.last.borrow().clone()
    }

    /// Notes that the keys of a text are in force.
    pub(crate) fn take_force(&self) {
        self.shared.keys.is_in_force.store(true, Relaxed);
    }
}
