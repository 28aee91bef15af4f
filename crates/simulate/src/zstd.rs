//! Bodies in zstd, which `/v1` accepts since 0.30.

use serde_json::Value;

use super::reply::Refusal;

/// Decodes a body.
#[cfg(feature = "coding")]
pub(super) fn read(
    body: &[u8],
    object: impl FnOnce(&[u8]) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    use std::io::Read;

    /// The maximum decoded size that Ollama accepts.
    const MOST: u64 = 20 << 20;

    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

    let mut decoded = Vec::new();
    let read = zstd::stream::read::Decoder::new(body)
        .and_then(|decoder| decoder.take(MOST + 1).read_to_end(&mut decoded));
    if read.is_err() {
        let is_other = body.len() >= MAGIC.len() && !body.starts_with(&MAGIC);
        let why = if is_other { "invalid input: magic number mismatch" } else { "unexpected EOF" };
        return Err(Refusal::undecoded(why));
    }
    if decoded.len() as u64 > MOST {
        return Err(Refusal::undecoded("http: request body too large"));
    }
    object(&decoded)
}

/// Without the feature, a body in zstd is not read, and the request gets the first model.
#[cfg(not(feature = "coding"))]
pub(super) fn read(
    _body: &[u8],
    _object: impl FnOnce(&[u8]) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    Ok(Value::Null)
}
