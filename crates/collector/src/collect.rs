//! The trait of collectors, and their errors.

use std::time::Duration;

use prometheus::Registry;

/// Reads one part of the surroundings into metrics.
pub trait Collect: Send + 'static {
    /// Returns the label `collector`.
    fn name(&self) -> &'static str;

    /// Registers its metrics on a registry.
    ///
    /// # Errors
    /// The registry has one of the names already.
    fn register(&self, registry: &Registry) -> prometheus::Result<()>;

    /// Reads once. The call may block. Until it returns, the metrics show the previous reading.
    ///
    /// # Errors
    /// The reason why nothing could be read. The next call tries again.
    fn collect(&mut self) -> Result<(), CollectError>;

    /// Returns the longest time between two calls of [`Collect::hurried`], which then run between two readings.
    /// Default: `None`, for a collector without urgent values.
    fn hurry(&self) -> Option<Duration> {
        None
    }

    /// Reads the urgent values.
    fn hurried(&mut self) {}

    /// Returns the time for which there is nothing to read, after a reading. The next reading waits for it if it is longer
    /// than the interval. Default: `None`.
    fn rest(&self) -> Option<Duration> {
        None
    }
}

/// The reason why a collector could not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// This machine does not have what the collector reads. Most machines, for example, have no GPU. The log reports
    /// it at INFO.
    #[error("{0}")]
    Absent(String),
    /// The source that the collector reads exists, but does not answer. The log reports it as a warning.
    #[error("{0}")]
    Failed(String),
}
