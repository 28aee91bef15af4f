//! A value of a histogram with the trace to which it belongs.

use std::time::SystemTime;

/// A value that was observed, and the trace of its request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The value.
    pub value: f64,
    /// The id of the trace.
    pub trace: [u8; 16],
    /// When it was observed. Prometheus keeps an exemplar by its time, so it is that of the wall clock.
    pub at: SystemTime,
}
