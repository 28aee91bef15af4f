//! Encodes a body that was decoded to be edited.

use std::io::{self, Write};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::{Coding, Undecodable, inflate::has_wrapper};

/// Encodes one body. Speed comes before size, because its way to the upstream is short.
pub(crate) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
    Raw(DeflateEncoder<Vec<u8>>),
    Brotli(Stored),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Creates an encoder for a body whose first coded byte was `first`. `None`: the coding is unknown.
    pub(crate) fn like(coding: Coding, first: u8) -> Option<Encoder> {
        let is_raw = !has_wrapper(first);
        Some(match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate if is_raw => Encoder::Raw(DeflateEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Encoder::Zlib(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Coding::Brotli => Encoder::Brotli(Stored::default()),
            Coding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1).ok()?),
            Coding::Identity | Coding::Unknown => return None,
        })
    }

    pub(crate) fn encode(&mut self, text: &[u8]) -> Result<(), Undecodable> {
        let encoded = match self {
            Encoder::Gzip(encoder) => encoder.write_all(text),
            Encoder::Zlib(encoder) => encoder.write_all(text),
            Encoder::Raw(encoder) => encoder.write_all(text),
            Encoder::Brotli(encoder) => encoder.write_all(text),
            Encoder::Zstd(encoder) => encoder.write_all(text),
        };
        encoded.map_err(|_| Undecodable)
    }

    /// Returns the encoded bytes that were not taken yet.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Zlib(encoder) => encoder.get_mut(),
            Encoder::Raw(encoder) => encoder.get_mut(),
            Encoder::Brotli(encoder) => &mut encoder.out,
            Encoder::Zstd(encoder) => encoder.get_mut(),
        })
    }

    /// Returns the rest, with the end of the body.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Undecodable> {
        let rest = match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zlib(encoder) => encoder.finish(),
            Encoder::Raw(encoder) => encoder.finish(),
            Encoder::Brotli(encoder) => Ok(encoder.finish()),
            Encoder::Zstd(encoder) => encoder.finish(),
        };
        rest.map_err(|_| Undecodable)
    }
}

/// brotli with uncompressed meta-blocks (RFC 7932 9.2). A compressor would be more code than all other codings
/// together, for a coding that no known client sends.
#[derive(Default)]
pub(crate) struct Stored {
    out: Vec<u8>,
    /// Whether the size of the window, a 0 bit for 64 KiB, is written.
    has_begun: bool,
}

impl Stored {
    fn finish(mut self) -> Vec<u8> {
        // The bits ISLAST and ISLASTEMPTY.
        self.out.push(if self.has_begun { 0b11 } else { 0b110 });
        self.out
    }
}

impl Write for Stored {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let block = &text[..text.len().min(1 << 16)];
        let Some(length) = block.len().checked_sub(1) else { return Ok(0) };
        // From the lowest bit: ISLAST 0, MNIBBLES 4, MLEN - 1, ISUNCOMPRESSED 1.
        let header = (length << 3 | 1 << 19) << usize::from(!self.has_begun);
        self.has_begun = true;
        self.out.extend_from_slice(&header.to_le_bytes()[..3]);
        self.out.extend_from_slice(block);
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
