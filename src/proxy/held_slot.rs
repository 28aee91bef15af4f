//! Tells a connection that the response on it holds a slot.

use std::sync::{Arc, Weak};

use crate::meter::RequestId;

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
    /// The id of the request.
    pub(super) id: RequestId,
    /// Its caller.
    pub(super) caller: Arc<str>,
}
