//! Tells a connection that the response on it holds a slot.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::Response;

use crate::{connection::WaitingPlace, meter::RequestId};

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

/// Tells a connection which response holds a slot.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    place: Arc<WaitingPlace>,
    /// The last request whose response held one.
    holder: Arc<Mutex<Option<SlotHolder>>>,
}

impl Holding {
    pub(super) fn new(place: Arc<WaitingPlace>) -> Holding {
        Holding { place, holder: Arc::default() }
    }

    /// The client gets this response now.
    pub(super) fn begin<B>(&self, response: &mut Response<B>) {
        if let Some(HeldSlot { token, of }) = response.extensions_mut().remove() {
            *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(of);
            self.place.hold(token);
        }
    }

    /// The last request whose response held a slot, once.
    pub(super) fn holder(&self) -> Option<SlotHolder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
