//! Identifies the caller of a request by its key.

use std::fmt;

use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

/// The header field in which Anthropic's clients send their key.
const X_API_KEY: &str = "x-api-key";
/// The longest key in bytes. A longer one is unknown and is not hashed.
const MAX_KEY: usize = 4 << 10;

/// The SHA-256 of a key. The key itself is not kept, and `Debug` does not print the digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u64; 4]);

impl Digest {
    /// The digest of a key.
    #[must_use]
    pub fn of(key: &[u8]) -> Digest {
        let mut bytes: [u8; 32] = Sha256::digest(key).into();
        let digest = Digest::from(bytes);
        bytes.zeroize();
        digest
    }

    /// Reads a digest of 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Digest> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut words = [0; 4];
        for (word, digits) in words.iter_mut().zip(digits.chunks(16)) {
            *word = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Digest(words))
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Digest {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        Digest(words)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

/// The key that a request sends.
#[derive(Debug)]
pub(super) enum ShownKey {
    /// No key.
    Nothing,
    Key(Digest),
    /// A key that is too long to be a known one.
    Nonsense,
    /// Two different keys.
    Several,
}

impl ShownKey {
    /// Reads the key of `Authorization: Bearer` or `x-api-key`. Other schemes of `Authorization` are ignored.
    pub(super) fn of(headers: &HeaderMap) -> ShownKey {
        let bearers = headers.get_all(AUTHORIZATION).into_iter().filter_map(|value| bearer(value.as_bytes()));
        let keys = headers.get_all(X_API_KEY).into_iter().map(|value| value.as_bytes().trim_ascii());
        let mut shown = bearers.chain(keys).filter(|key| !key.is_empty());
        let Some(first) = shown.next() else { return ShownKey::Nothing };
        if shown.any(|other| other != first) {
            return ShownKey::Several;
        }
        if first.len() > MAX_KEY { ShownKey::Nonsense } else { ShownKey::Key(Digest::of(first)) }
    }
}

/// The key of a value of `Authorization` with the scheme Bearer, in upper or lower case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.trim_ascii_start().split_at_checked(6)?;
    (scheme.eq_ignore_ascii_case(b"bearer") && key.first().is_some_and(u8::is_ascii_whitespace))
        .then(|| key.trim_ascii())
}

/// Removes the header fields that contain a key.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(X_API_KEY);
    if headers.get_all(AUTHORIZATION).into_iter().any(|value| bearer(value.as_bytes()).is_some()) {
        headers.remove(AUTHORIZATION);
    }
}

/// The index of a digest. The time depends only on the number of digests, not on their values.
pub(super) fn find(digest: &Digest, among: &[Digest]) -> Option<usize> {
    let mut found = u64::MAX;
    for (place, known) in (0_u64..).zip(among) {
        let differs = digest.0.iter().zip(&known.0).fold(0, |bits, (one, other)| bits | (one ^ other));
        found.conditional_assign(&place, differs.ct_eq(&0));
    }
    usize::try_from(found).ok().filter(|place| *place < among.len())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        fields.iter().map(|(name, text)| (name.parse().unwrap(), value(text))).collect()
    }

    fn shows(fields: &[(&'static str, &str)], key: &str) -> bool {
        matches!(ShownKey::of(&headers(fields)), ShownKey::Key(digest) if digest == Digest::of(key.as_bytes()))
    }

    #[test]
    fn key_is_read_from_either_field_with_scheme_in_any_case() {
        assert!(shows(&[("authorization", "Bearer sk-1")], "sk-1"));
        assert!(shows(&[("authorization", "bEARER   sk-1 ")], "sk-1"));
        assert!(shows(&[("x-api-key", "sk-1")], "sk-1"));
        assert!(shows(&[("x-api-key", "sk-1"), ("authorization", "Bearer sk-1")], "sk-1"));
    }

    #[test]
    fn key_that_is_malformed_is_none() {
        for fields in [
            vec![],
            vec![("authorization", "")],
            vec![("authorization", "Bearer")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", "Basic c2stMQ==")],
            vec![("authorization", "sk-1")],
            vec![("authorization", "Bearersk-1")],
            vec![("x-api-key", "")],
        ] {
            assert!(matches!(ShownKey::of(&headers(&fields)), ShownKey::Nothing), "{fields:?}");
        }
    }

    #[test]
    fn keys_that_differ_belong_to_nobody() {
        for fields in [
            [("authorization", "Bearer a"), ("authorization", "Bearer b")],
            [("authorization", "Bearer a"), ("x-api-key", "b")],
        ] {
            assert!(matches!(ShownKey::of(&headers(&fields)), ShownKey::Several), "{fields:?}");
        }
    }

    #[test]
    fn key_of_a_mebibyte_is_unknown() {
        let long = "k".repeat(1 << 20);
        assert!(matches!(ShownKey::of(&headers(&[("x-api-key", &long)])), ShownKey::Nonsense));
    }

    #[test]
    fn digest_is_sha256_and_never_printed() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::parse(abc), Some(Digest::of(b"abc")));
        assert_eq!(format!("{:?}", Digest::of(b"abc")), "Digest(***)");
        for bad in [&abc[1..], &abc.replace('b', "g"), &format!("{abc}0"), ""] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn digest_is_found_at_any_position() {
        let keys: Vec<_> = (0_u8..64).map(|key| Digest::of(&[key])).collect();
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(find(key, &keys), Some(place));
        }
        assert_eq!(find(&Digest::of(b"x"), &keys), None);
        assert_eq!(find(&Digest::of(b"x"), &[]), None);
    }

    #[test]
    fn key_is_removed_and_other_scheme_kept() {
        let mut one = headers(&[("authorization", "Bearer a"), ("x-api-key", "a"), ("accept", "*/*")]);
        strip(&mut one);
        assert_eq!(one, headers(&[("accept", "*/*")]));
        let mut basic = headers(&[("authorization", "Basic x"), ("x-api-key", "a")]);
        strip(&mut basic);
        assert_eq!(basic, headers(&[("authorization", "Basic x")]));
    }
}
