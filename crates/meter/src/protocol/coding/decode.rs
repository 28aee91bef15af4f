//! The trait of the decoders, one per coding.

use super::Undecodable;

/// Decodes one coding.
pub(super) trait Decode: Send + Sync {
    /// Decodes the next bytes and passes the result to `tell`.
    fn decode(&mut self, bytes: &[u8], tell: Tell<'_>) -> Result<(), Undecodable>;
}

/// Receives decoded bytes. An error means that they exceed a limit.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Undecodable>;
