//! Decodes a body piece by piece, within bounds.

use std::fmt;

use super::{Coding, Undecodable};
#[cfg(feature = "coding")]
use super::{brotli::Brotli, inflate::Inflate, zstd::Zstd};

/// What each byte of a body may come to, summed over the body. Of text one byte comes to some 10, and at most to 50.
const MOST_A_BYTE: u64 = 256;
/// What a body may come to beyond that.
const MOST_BESIDE: u64 = 8 << 20;
/// What one piece may come to: some 20 ms of work.
const MOST_A_PIECE: u64 = 16 << 20;

/// Decodes one body. What it holds is bounded by its coding's window: 32 KiB for gzip and deflate, 8 MiB for zstd, 16 MiB
/// for brotli, of which each takes as much as the body's writer chose.
pub struct Decoder {
    /// `None`: the coding is not known, or decoding was given up.
    decode: Option<Box<dyn Decode>>,
    allowance: Allowance,
}

/// Decodes one coding.
pub(super) trait Decode: Send + Sync {
    /// Takes the next bytes, and tells what they come to.
    fn decode(&mut self, bytes: &[u8], tell: Tell<'_>) -> Result<(), Undecodable>;
}

/// Told what came out; an error: it is too much.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Undecodable>;

impl Decoder {
    /// `None` if the body is not coded. `most`: the largest size that it may decode to, bytes.
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

    /// Takes the next bytes of the body, and passes each decoded piece to `tell`.
    ///
    /// # Errors
    /// The body is not what its coding promises, or decodes to more than the bound. After an error nothing more can be
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
            // What it held is given back at once.
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

/// What may still come out.
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
