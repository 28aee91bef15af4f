//! The same records are found however a body is split.

use streamgauge::protocol::{Dialect, Framing, Scan, Scanner};

pub const DIALECTS: [Dialect; 3] = [Dialect::Ollama, Dialect::OpenAi, Dialect::Anthropic];

/// Returns the records of a body that comes in pieces of at most `piece` bytes.
fn found(framing: Framing, dialect: Dialect, body: &[u8], piece: usize) -> Vec<Scan> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new(framing, dialect);
    for piece in body.chunks(piece.max(1)) {
        scanner.scan(piece, |scan| found.push(scan));
    }
    scanner.finish(|scan| found.push(scan));
    found
}

/// The first byte decides how the rest is split.
pub fn hold(framing: Framing, data: &[u8]) {
    let Some((piece, body)) = data.split_first() else { return };
    for dialect in DIALECTS {
        let whole = found(framing, dialect, body, body.len());
        assert_eq!(found(framing, dialect, body, usize::from(*piece)), whole);
        assert_eq!(found(framing, dialect, body, 1), whole);
    }
}
