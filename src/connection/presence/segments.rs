//! The kernel's counts of a connection.

/// The kernel's counts of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) received: u32,
    pub(super) sent: u32,
    /// Data is not acknowledged or not sent, and the kernel has tried again.
    pub(super) is_retried: bool,
}
