//! The token that admin requests must send, if one is configured.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::attempts::{Attempts, ConnectionTrust, ShownToken, Verdict};

/// The longest token in bytes. A longer one is wrong and is not hashed.
const MAX_TOKEN: usize = 4 << 10;

/// The SHA-256 of a token. The token itself is not kept, and `Debug` does not print the hash.
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

/// The required token, if there is one, and the count of wrong attempts. All clones share it.
#[derive(Clone, Debug)]
pub(crate) struct AskedToken(Option<Arc<Guarded>>);

#[derive(Debug)]
struct Guarded {
    token: RwLock<Token>,
    attempts: Attempts,
}

impl AskedToken {
    pub(crate) fn new(token: Option<Token>) -> AskedToken {
        let guarded = |token| Guarded { token: RwLock::new(token), attempts: Attempts::default() };
        AskedToken(token.map(guarded).map(Arc::new))
    }

    /// Requires another token from now on. A reload cannot turn the requirement on or off.
    pub(crate) fn renew(&self, token: Option<Token>) {
        if let (Some(guarded), Some(token)) = (&self.0, token) {
            *guarded.token.write().unwrap_or_else(PoisonError::into_inner) = token;
        }
    }

    /// Checks the token of a request from the address `peer`. `None`: no token is required.
    pub(super) fn judge(
        &self,
        fields: &HeaderMap,
        peer: IpAddr,
        trust: &mut ConnectionTrust,
    ) -> Option<Verdict> {
        let Guarded { token, attempts } = &**self.0.as_ref()?;
        let token = *token.read().unwrap_or_else(PoisonError::into_inner);
        let shows = fields.contains_key(AUTHORIZATION);
        Some(attempts.judge(peer, trust, shows, || token.judge(fields)))
    }
}

impl Token {
    /// The hash of this token.
    #[must_use]
    pub fn of(token: &[u8]) -> Token {
        Token(Sha256::digest(token).into())
    }

    /// Reads `Authorization`: a Bearer token, or the password of Basic, which browsers ask for.
    pub(super) fn judge(&self, fields: &HeaderMap) -> ShownToken {
        let mut shown = fields.get_all(AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (None, _) => ShownToken::Nothing,
            (Some(value), None) if self.is(value.as_bytes()) => ShownToken::Right,
            _ => ShownToken::Wrong,
        }
    }

    /// Compares in constant time, so that the time does not tell how much of the token is right.
    fn is(&self, value: &[u8]) -> bool {
        let Some((scheme, rest)) = value.split_at_checked(6) else { return false };
        let rest = rest.trim_ascii();
        if rest.len() > MAX_TOKEN {
            return false;
        }
        let token = if scheme.eq_ignore_ascii_case(b"bearer") {
            Zeroizing::new(rest.to_vec())
        } else if scheme.eq_ignore_ascii_case(b"basic ") {
            match STANDARD.decode(rest).map(Zeroizing::new) {
                Ok(pair) => match pair.iter().position(|byte| *byte == b':') {
                    Some(colon) => Zeroizing::new(pair[colon + 1..].to_vec()),
                    None => return false,
                },
                Err(_) => return false,
            }
        } else {
            return false;
        };
        Token::of(&token).0.ct_eq(&self.0).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn admin_token_is_read_as_bearer_or_basic_password() {
        let token = Token::of(b"sesame");
        let judge = |values: &[&str]| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            token.judge(&fields)
        };
        assert_eq!(judge(&[]), ShownToken::Nothing);
        for right in ["Bearer sesame", "bearer  sesame ", "Basic OnNlc2FtZQ==", "basic YW5uOnNlc2FtZQ=="] {
            assert_eq!(judge(&[right]), ShownToken::Right, "{right}");
        }
        for wrong in [
            "Bearer sesam",
            "Bearer",
            "Bearer ",
            "sesame",
            "Basic sesame",
            "Basic c2VzYW1l",
            "Digest sesame",
            "",
        ] {
            assert_eq!(judge(&[wrong]), ShownToken::Wrong, "{wrong}");
        }
        assert_eq!(
            judge(&["Bearer sesame", "Bearer sesame"]),
            ShownToken::Wrong,
            "a request with two tokens is refused"
        );
        assert_eq!(judge(&[&format!("Bearer {}", "k".repeat(5000))]), ShownToken::Wrong);
        assert_eq!(format!("{token:?}"), "Token(***)");
    }
}
