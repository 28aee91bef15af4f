//! The `tokenizers` crate, in this process.
#![expect(clippy::disallowed_types, reason = "no async code is near")]

use std::{path::Path, time::Instant};

use tokenizers::Tokenizer;

use super::{ONE_BY_ONE, Speed};

/// Measures a tokenizer's file on these pieces, on one thread.
///
/// # Errors
/// The file cannot be read, or the tokenizer cannot encode or decode.
pub fn by_rust(file: &Path, pieces: &[String]) -> Result<Speed, String> {
    let explain = |error: tokenizers::Error| format!("{}: {error}", file.display());
    let began = Instant::now();
    let tokenizer = Tokenizer::from_file(file).map_err(explain)?;
    let load = began.elapsed().as_secs_f64();

    let began = Instant::now();
    let mut encoded: Vec<Vec<u32>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        encoded.push(tokenizer.encode_fast(piece.as_str(), false).map_err(explain)?.get_ids().to_vec());
    }
    let encode = began.elapsed().as_secs_f64();

    let began = Instant::now();
    for ids in &encoded {
        std::hint::black_box(tokenizer.decode(ids, false).map_err(explain)?);
    }
    let decode = began.elapsed().as_secs_f64();

    let began = Instant::now();
    let (mut stream, mut streamed) = (tokenizer.decode_stream(false), 0);
    for id in encoded.iter().flatten().take(ONE_BY_ONE) {
        std::hint::black_box(stream.step(*id).map_err(explain)?);
        streamed += 1;
    }
    let stream = began.elapsed().as_secs_f64();
    Ok(Speed {
        tokens: encoded.iter().map(|ids| ids.len() as u64).sum(),
        load,
        encode,
        decode,
        streamed,
        stream,
        library: "Rust, tokenizers".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}}"#;

    #[test]
    fn tokenizer_encodes_decodes_and_decodes_each_token_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, WORDS).unwrap();
        let speed = by_rust(&file, &["a b c\n".to_owned(), "b\n".to_owned()]).unwrap();
        assert_eq!((speed.tokens, speed.streamed), (4, 4));
        assert!(speed.encode > 0.0 && speed.decode > 0.0 && speed.stream > 0.0);
        std::fs::write(&file, "{}").unwrap();
        assert!(by_rust(&file, &[]).unwrap_err().contains("tokenizer.json"));
    }
}
