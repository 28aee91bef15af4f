//! Upstreams: which one gets a request, and what happens if it fails.

mod auto;
mod batch;
mod cloud;
mod failures;
mod missing;
mod scheduler;
mod several;
#[cfg(feature = "tls")]
pub(crate) mod verified;
mod wedged;
