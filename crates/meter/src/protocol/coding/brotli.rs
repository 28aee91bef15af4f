//! brotli.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{
    Undecodable,
    decode::{Decode, Tell},
};

/// Bytes of the output buffer.
const ROOM: usize = 16 << 10;

pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    room: Box<[u8]>,
    is_over: bool,
}

impl Brotli {
    pub(super) fn new() -> Brotli {
        let alloc = StandardAlloc::default;
        // A strict decoder refuses windows above the 16 MiB of RFC 7932.
        let state = Box::new(BrotliState::new_strict(alloc(), alloc(), alloc()));
        Brotli { state, room: vec![0; ROOM].into_boxed_slice(), is_over: false }
    }
}

impl Decode for Brotli {
    fn decode(&mut self, bytes: &[u8], tell: Tell<'_>) -> Result<(), Undecodable> {
        let (mut left, mut at) = (bytes.len(), 0);
        while !self.is_over {
            let (mut free, mut written, mut total) = (self.room.len(), 0, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                bytes,
                &mut free,
                &mut written,
                &mut self.room,
                &mut total,
                &mut self.state,
            );
            if written > 0 {
                tell(&self.room[..written])?;
            }
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => break,
                BrotliResult::ResultSuccess => self.is_over = true,
                BrotliResult::ResultFailure => return Err(Undecodable),
            }
        }
        Ok(())
    }
}
