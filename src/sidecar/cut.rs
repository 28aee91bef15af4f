//! Records requests as cut by the sidecar if the future that serves them is dropped.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::meter::Meter;

/// Serves until its end. If it is dropped before, for example at a second signal, the requests that it drops were cut
/// by the sidecar, and their clients did not leave.
pub(super) struct CutOnDrop<'a, F> {
    serves: Pin<Box<F>>,
    meter: &'a Meter,
}

impl<'a, F> CutOnDrop<'a, F> {
    pub(super) fn new(serves: F, meter: &'a Meter) -> CutOnDrop<'a, F> {
        CutOnDrop { serves: Box::pin(serves), meter }
    }
}

impl<F: Future<Output = ()>> Future for CutOnDrop<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.serves.as_mut().poll(cx)
    }
}

impl<F> Drop for CutOnDrop<'_, F> {
    fn drop(&mut self) {
        // This runs before the fields are dropped, and with them the connections.
        self.meter.cut();
    }
}
