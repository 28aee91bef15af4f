//! NVML's events for XID errors. Each GPU has a set of its own, because a wait reports only the newest of several errors,
//! and because a lost GPU cannot say which one it is.

use std::{sync::Arc, time::Duration};

use nvml_wrapper::{
    Device, EventSet, Nvml, bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError,
};

use super::query::index;
use crate::gpu::events::{Feed, UNKNOWN};

/// The longest wait for an event, so that the thread ends soon after it is no longer needed.
const WAIT: Duration = Duration::from_millis(500);

/// Whether a GPU reports XID errors.
pub(super) fn are_reported(device: &Device<'_>) -> bool {
    device.supported_event_types().is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR))
}

/// Reports the errors of one GPU until it must end.
pub(super) fn watch(library: Arc<Nvml>, position: usize) -> impl FnOnce(&Feed) + Send + 'static {
    move |feed| match events_of(&library, position) {
        Ok(set) => report(&set, feed),
        Err(error) => tracing::warn!(gpu = position, %error, "XID errors of a GPU cannot be read"),
    }
}

fn report(set: &EventSet<'_>, feed: &Feed) {
    let milliseconds = u32::try_from(WAIT.as_millis()).expect("half a second is short");
    loop {
        let pause = match set.wait(milliseconds) {
            Ok(event) => {
                match event.event_data {
                    Some(XidError::Value(code)) => feed.report(code),
                    Some(XidError::Unknown) => feed.report(UNKNOWN),
                    None => {}
                }
                Duration::ZERO
            }
            Err(NvmlError::Timeout) => Duration::ZERO,
            // A lost GPU fails at once.
            Err(_) => WAIT,
        };
        if !feed.goes_on(pause) {
            return;
        }
    }
}

fn events_of(library: &Nvml, position: usize) -> Result<EventSet<'_>, NvmlError> {
    let device = library.device_by_index(index(position))?;
    let set = library.create_event_set()?;
    device.register_events(EventTypes::CRITICAL_XID_ERROR, set).map_err(|error| error.error)
}
