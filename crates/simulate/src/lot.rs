//! The random draws for one stream.

use super::{decode::Pace, faults::Fate, seed::Seed, version::ChatPath};

/// The random draws for one stream, and the settings of the request's own headers.
pub(super) struct Lot {
    pub(super) fate: Fate,
    pub(super) pace: Pace,
    pub(super) path: ChatPath,
    /// The number of records that are sent together.
    pub(super) group: u32,
    pub(super) seed: Seed,
}
