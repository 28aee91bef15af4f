//! The sidecar between raw sockets: what goes in, what comes out, and what is counted.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "proxy/aborts.rs"]
mod aborts;
#[path = "proxy/adaptive.rs"]
mod adaptive;
#[path = "proxy/admin.rs"]
mod admin;
#[path = "proxy/admission.rs"]
mod admission;
#[path = "proxy/ahead.rs"]
mod ahead;
#[cfg(feature = "tls")]
#[path = "proxy/authority.rs"]
mod authority;
#[path = "proxy/cloud.rs"]
mod cloud;
#[cfg(feature = "coding")]
#[path = "proxy/coded.rs"]
mod coded;
#[path = "proxy/cors.rs"]
mod cors;
#[path = "proxy/dialects.rs"]
mod dialects;
#[path = "proxy/drain.rs"]
mod drain;
#[path = "proxy/early.rs"]
mod early;
#[path = "proxy/failures.rs"]
mod failures;
#[path = "proxy/forwarding.rs"]
mod forwarding;
#[path = "proxy/framing.rs"]
mod framing;
#[path = "proxy/half_close.rs"]
mod half_close;
#[path = "proxy/harness.rs"]
mod harness;
#[path = "proxy/hostile_client.rs"]
mod hostile_client;
#[path = "proxy/hostile_upstream.rs"]
mod hostile_upstream;
#[path = "proxy/keep_alive.rs"]
mod keep_alive;
#[path = "proxy/loads.rs"]
mod loads;
#[path = "proxy/names.rs"]
mod names;
#[path = "proxy/nonsense.rs"]
mod nonsense;
#[path = "proxy/pace.rs"]
mod pace;
#[path = "proxy/phases.rs"]
mod phases;
#[path = "proxy/reload.rs"]
mod reload;
#[path = "proxy/response_framing.rs"]
mod response_framing;
#[path = "proxy/routes.rs"]
mod routes;
#[path = "proxy/simulated.rs"]
mod simulated;
#[path = "proxy/smuggling.rs"]
mod smuggling;
#[path = "proxy/strict.rs"]
mod strict;
#[path = "proxy/surroundings.rs"]
mod surroundings;
#[cfg(feature = "tls")]
#[path = "proxy/tls.rs"]
mod tls;
#[path = "proxy/tool_calls.rs"]
mod tool_calls;
#[path = "proxy/uploads.rs"]
mod uploads;
#[path = "proxy/upstreams.rs"]
mod upstreams;
#[cfg(feature = "tls")]
#[path = "proxy/verified.rs"]
mod verified;
#[path = "proxy/wedged.rs"]
mod wedged;
#[path = "proxy/wrappers.rs"]
mod wrappers;
