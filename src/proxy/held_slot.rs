//! Tells a connection that the response on it holds a slot.

use std::sync::{Arc, Weak};

/// An extension of a response.
#[derive(Clone, Debug)]
pub(super) struct HeldSlot {
    /// It lives as long as the response holds a slot.
    pub(super) token: Weak<()>,
    /// The request, for the log.
    pub(super) of: SlotHolder,
}

/// A request whose response holds a slot.
#[derive(Clone, Debug)]
pub(super) struct SlotHolder {
    /// The number of the request in this process.
    pub(super) id: u64,
    /// Its caller.
    pub(super) caller: Arc<str>,
}
