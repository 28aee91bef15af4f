//! The error of a body that ends in the middle.

/// The body breaks off here.
#[derive(Debug, thiserror::Error)]
#[error("the simulated connection breaks off")]
pub(super) struct BrokenOff;
