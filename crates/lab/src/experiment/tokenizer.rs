//! Measures the speed of tokenizers: the benchmark that TR117 planned (4.3) and did not run.

mod python;
#[cfg(feature = "tokenizers")]
mod rust;

use serde::Deserialize;

pub use python::by_python;
#[cfg(feature = "tokenizers")]
pub use rust::by_rust;

/// The size of the text in bytes, as TR117 planned it.
pub const TEXT: usize = 10_000_000;
/// The bytes of a piece that is encoded at once, as a long prompt is. A piece has whole lines, so no word is cut.
const PIECE: usize = 4096;
/// The number of tokens that are decoded one by one, so that the benchmark does not take minutes.
const ONE_BY_ONE: usize = 200_000;

/// The times of a tokenizer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Speed {
    /// The tokens of the whole text.
    pub tokens: u64,
    /// The time to read the tokenizer's file, in seconds.
    pub(crate) load: f64,
    /// The time to encode the text piece by piece, in seconds.
    pub encode: f64,
    /// The time to decode its tokens piece by piece, in seconds.
    pub decode: f64,
    /// The tokens that were decoded one by one.
    pub streamed: u64,
    /// The time to decode these, in seconds. Ollama decodes in this way while it streams.
    pub stream: f64,
    /// The library and its version.
    pub library: String,
}

/// Returns this many bytes of text in pieces of whole lines, by repeating `source`.
#[must_use]
pub fn pieces(source: &str, bytes: usize) -> Vec<String> {
    let (mut pieces, mut piece, mut total) = (Vec::new(), String::new(), 0);
    for line in source.split_inclusive('\n').cycle() {
        if total + piece.len() >= bytes {
            break;
        }
        if !piece.is_empty() && piece.len() + line.len() > PIECE {
            total += piece.len();
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push_str(line);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokenizer_text_has_its_size_and_whole_lines() {
        let pieces = pieces("A line of some words.\nAnother, which is longer than that.\n\n", 1_000_000);
        let size: usize = pieces.iter().map(String::len).sum();
        assert!((1_000_000..1_000_000 + 2 * PIECE).contains(&size), "{size}");
        assert!(pieces.iter().all(|piece| piece.ends_with('\n')));
        assert_eq!(super::pieces("one line\n", 100).concat(), "one line\n".repeat(12));
        assert!(super::pieces("", 100).is_empty());
    }
}
