//! A finished plot.

/// A finished plot.
pub(in crate::report) struct Plot {
    pub(in crate::report) title: String,
    /// A description, also for people who cannot see the plot.
    pub(in crate::report) caption: String,
    pub(in crate::report) svg: String,
}
