//! TLS with rustls: the certificate that a server presents, and the certificates that a client trusts.
//!
//! aws-lc is the cryptography. The protocols are TLS 1.2, TLS 1.3 and HTTP/1.1. A client always verifies the
//! certificate of an upstream.
//!
//! ```
//! use streamgauge_tls::{Acceptor, Authorities};
//!
//! assert!(!Acceptor::new(None).is_secured());
//! let flaw = Authorities::from_pem(b"not a certificate").unwrap_err();
//! assert_eq!(flaw.to_string(), "it holds no certificate in PEM");
//! ```

mod acceptor;
mod identity;
mod peer;
mod pinned;
mod stream;
mod trust;

use std::{io, path::PathBuf};

pub use acceptor::Acceptor;
pub use identity::Identity;
pub use peer::Peer;
pub use stream::{Stream, plain, socket};
pub use trust::{Authorities, Trust, by_system, prepare};

/// The protocol of both sides, as TLS names it (ALPN).
const HTTP_1_1: &[u8] = b"http/1.1";

/// The file that a certificate or a key was read from. `None`: it was read from memory.
type Source = Option<PathBuf>;

/// The reason why TLS cannot be used as configured. The message never quotes a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", named(file))]
    Unread {
        /// The file.
        file: Source,
        /// Whether it is the file of the private key.
        is_key: bool,
        /// The system's error.
        error: io::Error,
    },
    /// The file contains no certificate.
    #[error("{} holds no certificate in PEM", named(.0))]
    NoCertificate(Source),
    /// The file contains no private key.
    #[error("{} holds no private key in PEM", named(.0))]
    NoKey(Source),
    /// The private key is encrypted, and a service cannot enter its password.
    #[error("{} holds an encrypted private key", named(.0))]
    Encrypted(Source),
    /// A PEM block contains invalid data.
    #[error("{} is malformed", named(file))]
    Malformed {
        /// The file.
        file: Source,
        /// Whether it is the file of the private key.
        is_key: bool,
    },
    /// The key belongs to another certificate.
    #[error("{} is not the key of the first certificate in {}", named(key), named(cert))]
    Mismatch {
        /// The file of the certificate.
        cert: Source,
        /// The file of the key.
        key: Source,
    },
    /// The system has no certificate authorities that can be read.
    #[error("this system has no certificate authorities that can be read: {0}")]
    NoAuthorities(String),
    /// The host can have no certificate.
    #[error("{0:?} is not a host name for which a certificate can be issued")]
    Name(String),
}

impl Unusable {
    /// Whether the mistake is in the private key.
    #[must_use]
    pub const fn is_of_key(&self) -> bool {
        match self {
            Unusable::Unread { is_key, .. } | Unusable::Malformed { is_key, .. } => *is_key,
            Unusable::NoKey(_) | Unusable::Encrypted(_) | Unusable::Mismatch { .. } => true,
            _ => false,
        }
    }
}

fn named(source: &Source) -> String {
    source.as_ref().map_or_else(|| "it".to_owned(), |file| format!("{:?}", file.display().to_string()))
}

fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
