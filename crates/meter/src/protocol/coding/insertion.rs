//! Inserts bytes into the middle of a coded body.

use super::{Coding, Decoder, Undecodable, encoder::Encoder};

/// Decodes a body, inserts a text, and encodes the body again with the same coding.
pub struct Insertion {
    decoder: Decoder,
    encoder: Encoder,
    /// The number of decoded bytes before the text.
    before: u64,
    text: Option<&'static [u8]>,
}

impl Insertion {
    /// Inserts `text` at an offset of the decoded body, whose first coded byte is `first`. `None`: the coding is
    /// unknown.
    pub fn new(coding: Coding, first: u8, offset: u64, text: &'static [u8]) -> Option<Insertion> {
        let decoder = Decoder::new(coding, u64::MAX)?;
        let encoder = Encoder::like(coding, first)?;
        Some(Insertion { decoder, encoder, before: offset, text: Some(text) })
    }

    /// Takes the next bytes of the body, and returns the bytes of the new body that are ready.
    ///
    /// # Errors
    /// The data does not match its coding, or the decoded size exceeds the limit.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let Insertion { decoder, encoder, before, text } = self;
        let mut encoded = Ok(());
        let mut encode = |piece: &[u8]| {
            if encoded.is_ok() {
                encoded = encoder.encode(piece);
            }
        };
        decoder.decode(bytes, &mut |piece| {
            let here = usize::try_from(*before).ok().filter(|here| *here <= piece.len());
            let (Some(here), Some(text)) = (here, text.take_if(|_| here.is_some())) else {
                *before = before.saturating_sub(piece.len() as u64);
                return encode(piece);
            };
            encode(&piece[..here]);
            encode(text);
            encode(&piece[here..]);
        })?;
        encoded?;
        Ok(self.encoder.take())
    }

    /// Returns the rest of the new body.
    ///
    /// # Errors
    /// The body ended before the offset.
    pub fn finish(self) -> Result<Vec<u8>, Undecodable> {
        if self.text.is_some() { Err(Undecodable) } else { self.encoder.finish() }
    }
}
