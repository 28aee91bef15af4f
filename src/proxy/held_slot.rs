//! Tells a connection that the response on it holds a slot.

use std::sync::Weak;

/// An extension of a response. The token lives as long as the response holds a slot.
#[derive(Clone, Debug)]
pub(super) struct HeldSlot(pub(super) Weak<()>);
