//! gzip and deflate.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::{
    Undecodable,
    decode::{Decode, Tell},
};

/// Decodes gzip or deflate, with an output buffer of 32 KiB.
pub(super) enum Inflate {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
    /// Deflate before its first byte, which shows whether it has zlib's wrapper.
    Begin,
}

impl Inflate {
    pub(super) fn gzip() -> Inflate {
        Inflate::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))
    }

    pub(super) const fn deflate() -> Inflate {
        Inflate::Begin
    }
}

/// Returns whether deflate has zlib's wrapper. The wrapper begins with the method, 8, and a window of at most 32 KiB
/// (RFC 1950 2.2). A raw stream with the same first byte would begin with a stored block whose padding is not zero.
pub(super) const fn has_wrapper(first: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7
}

impl Decode for Inflate {
    fn decode(&mut self, bytes: &[u8], tell: Tell<'_>) -> Result<(), Undecodable> {
        if matches!(self, Inflate::Begin) {
            *self = if bytes.first().is_some_and(|first| has_wrapper(*first)) {
                Inflate::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
            } else {
                Inflate::Raw(Box::new(DeflateDecoder::new(Vec::new())))
            };
        }
        match self {
            Inflate::Gzip(decoder) => push(decoder, |decoder| decoder.get_mut(), bytes, tell),
            Inflate::Zlib(decoder) => push(decoder, |decoder| decoder.get_mut(), bytes, tell),
            Inflate::Raw(decoder) => push(decoder, |decoder| decoder.get_mut(), bytes, tell),
            Inflate::Begin => Ok(()),
        }
    }
}

fn push<W: Write>(
    decoder: &mut W,
    out: impl Fn(&mut W) -> &mut Vec<u8>,
    bytes: &[u8],
    tell: Tell<'_>,
) -> Result<(), Undecodable> {
    let mut told = |decoder: &mut W| {
        let text = out(decoder);
        let verdict = if text.is_empty() { Ok(()) } else { tell(text) };
        text.clear();
        verdict
    };
    let failed = |_: io::Error| Undecodable;
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = decoder.write(rest).map_err(failed)?;
        told(decoder)?;
        if taken == 0 {
            // The data has ended.
            break;
        }
        rest = &rest[taken..];
    }
    decoder.flush().map_err(failed)?;
    told(decoder)
}
