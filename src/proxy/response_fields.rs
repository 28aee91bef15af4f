//! The fields that the sidecar adds to each response if `proxy.response_fields` is set, so that a client's own log can be
//! joined with that of the sidecar.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::cors;
use crate::meter::Live;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-streamgauge-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the fields to a head that the client gets before the upstream's response. Until the request is sent, its wait and
/// its upstream are not final.
pub(super) fn write_early(live: &Live, fields: &mut HeaderMap) {
    if live.since_sent().is_some() {
        write(live, fields);
    } else {
        write_id(live, fields);
    }
}

fn write_id(live: &Live, fields: &mut HeaderMap) {
    if let Ok(id) = HeaderValue::try_from(live.id().to_string()) {
        fields.insert(REQUEST_ID, id);
        cors::expose_response_fields(fields);
    }
}

/// Adds the id of the request, its wait in the sidecar's queue and its upstream. Fields of the same name that another
/// sidecar behind this one has added describe that one: its id is replaced, and its timing stays.
pub(super) fn write(live: &Live, fields: &mut HeaderMap) {
    let wait = live.queue_wait().unwrap_or_default().as_secs_f64() * 1e3;
    let mut timing = format!("queue;dur={wait:.3}");
    if let Some(upstream) = live.upstream() {
        timing += &format!(", upstream;desc=\"{upstream}\"");
    }
    // The names of upstreams have only letters, digits and `.`, `_` and `-`.
    if let Ok(timing) = HeaderValue::try_from(timing) {
        fields.append(SERVER_TIMING, timing);
    }
    write_id(live, fields);
}
