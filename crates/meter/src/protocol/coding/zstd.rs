//! Zstandard.

use std::io;

use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{
    Undecodable,
    decode::{Decode, Tell},
};

/// Bytes of the output buffer.
const ROOM: usize = 16 << 10;
/// The largest window of a content coding is 8 MiB (RFC 9659).
const WINDOW_LOG: u32 = 23;

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    room: Box<[u8]>,
}

impl Zstd {
    pub(super) fn new() -> io::Result<Zstd> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
        Ok(Zstd { decoder, room: vec![0; ROOM].into_boxed_slice() })
    }
}

impl Decode for Zstd {
    fn decode(&mut self, bytes: &[u8], tell: Tell<'_>) -> Result<(), Undecodable> {
        let mut rest = bytes;
        loop {
            let step = self.decoder.run_on_buffers(rest, &mut self.room).map_err(|_| Undecodable)?;
            rest = &rest[step.bytes_read..];
            if step.bytes_written > 0 {
                tell(&self.room[..step.bytes_written])?;
            }
            // If the output buffer was filled, there may be more output.
            if rest.is_empty() && step.bytes_written < self.room.len() {
                return Ok(());
            }
        }
    }
}
