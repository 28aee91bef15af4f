//! TLS by rustls: the certificate that a server shows, and the certificates that a client trusts.
//!
//! The cryptography is aws-lc; the protocols are TLS 1.2, TLS 1.3 and HTTP/1.1. A client always verifies the certificate of
//! an upstream.
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

/// The protocol of both ends, as TLS names it (ALPN).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What a certificate or a key was read from; `None`: from memory.
type Source = Option<PathBuf>;

/// Why TLS cannot be had as it is set. It repeats nothing of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", named(file))]
    Unread {
        /// Which.
        file: Source,
        /// It is that of the private key.
        is_key: bool,
        /// What the system says.
        error: io::Error,
    },
    /// There is no certificate.
    #[error("{} holds no certificate in PEM", named(.0))]
    NoCertificate(Source),
    /// There is no private key.
    #[error("{} holds no private key in PEM", named(.0))]
    NoKey(Source),
    /// There is a private key that takes a password, which nobody is there to give.
    #[error("{} holds a private key that is encrypted", named(.0))]
    Encrypted(Source),
    /// What is between the lines of PEM is not what they say.
    #[error("{} is malformed", named(file))]
    Malformed {
        /// The file.
        file: Source,
        /// It is that of the private key.
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
    /// The system has no authorities that can be read.
    #[error("this system has no certificate authorities that can be read: {0}")]
    NoAuthorities(String),
    /// No certificate can be for this host.
    #[error("{0:?} is not a name that a certificate can be for")]
    Name(String),
}

impl Unusable {
    /// It is about the private key.
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

/// The README's example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
