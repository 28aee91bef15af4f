//! Bodies in a content coding, and bodies that only claim one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamgauge::protocol::{Coding, Dialect, Framing, Scanner};

const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

// The first byte chooses a coding and how the rest is split.
fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let (coding, piece) = (CODINGS[usize::from(first & 3)], usize::from(first >> 2) + 1);
    let mut scanner = Scanner::coded(Framing::Ndjson, Dialect::Ollama, coding);
    body.chunks(piece).for_each(|piece| scanner.scan(piece, |_| {}));
    scanner.finish(|_| {});
});
