//! Decodes a body piece by piece, within limits.

use std::fmt;

use super::{Coding, Undecodable, decode::Decode};
#[cfg(feature = "coding")]
use super::{brotli::Brotli, inflate::Inflate, zstd::Zstd};

/// The maximum ratio of decoded to coded bytes, over the whole body. Text usually has a ratio of 10, and at most 50.
const MOST_A_BYTE: u64 = 256;
/// The decoded bytes that are allowed in addition.
const MOST_BESIDE: u64 = 8 << 20;
/// The maximum decoded size of one piece: some 20 ms of work.
const MOST_A_PIECE: u64 = 16 << 20;

/// Decodes one body. The window of its coding limits the memory: 32 KiB for gzip and deflate, 8 MiB for zstd, 16 MiB
/// for brotli. Within that limit, the sender of the body chooses the size.
pub struct Decoder {
    /// `None`: the coding is unknown, or decoding was given up.
    decode: Option<Box<dyn Decode>>,
    allowance: Allowance,
}

impl Decoder {
    /// Creates a decoder, or returns `None` if the body is not coded. `most` is the maximum decoded size in bytes.
    pub fn new(coding: Coding, most: u64) -> Option<Decoder> {
        let decode: Option<Box<dyn Decode>> = match coding {
            Coding::Identity => return None,
            #[cfg(feature = "coding")]
            Coding::Gzip => Some(Box::new(Inflate::gzip())),
            #[cfg(feature = "coding")]
            Coding::Deflate => Some(Box::new(Inflate::deflate())),
            #[cfg(feature = "coding")]
            Coding::Brotli => Some(Box::new(Brotli::new())),
            #[cfg(feature = "coding")]
            Coding::Zstd => Zstd::new().ok().map(|zstd| Box::new(zstd) as Box<dyn Decode>),
            _ => None,
        };
        Some(Decoder { decode, allowance: Allowance { body: most, earned: MOST_BESIDE, piece: 0 } })
    }

    /// Decodes the next bytes of the body, and passes each decoded piece to `tell`.
    ///
    /// # Errors
    /// The data does not match its coding, or the decoded size exceeds the limit. After an error, the rest is not
    /// decoded.
    pub fn decode(&mut self, bytes: &[u8], tell: &mut dyn FnMut(&[u8])) -> Result<(), Undecodable> {
        if bytes.is_empty() {
            return Ok(());
        }
        let allowance = &mut self.allowance;
        allowance.begin(bytes.len());
        let decode = self.decode.as_mut().ok_or(Undecodable)?;
        let decoded = decode.decode(bytes, &mut |text| {
            allowance.take(text.len())?;
            tell(text);
            Ok(())
        });
        if decoded.is_err() {
            // Its memory is freed at once.
            self.decode = None;
        }
        decoded
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

/// The bytes that may still be decoded.
#[derive(Debug)]
struct Allowance {
    body: u64,
    earned: u64,
    piece: u64,
}

impl Allowance {
    fn begin(&mut self, piece: usize) {
        self.earned = self.earned.saturating_add(MOST_A_BYTE * piece as u64);
        self.piece = MOST_A_PIECE;
    }

    fn take(&mut self, length: usize) -> Result<(), Undecodable> {
        for left in [&mut self.body, &mut self.earned, &mut self.piece] {
            *left = left.checked_sub(length as u64).ok_or(Undecodable)?;
        }
        Ok(())
    }
}
