//! TLS: who we are to those who connect, and whom we trust as an upstream.
//!
//! By rustls, with aws-lc as its cryptography: TLS 1.2 and 1.3, HTTP/1.1 alone. What an upstream shows is verified,
//! always. Without the feature `tls` there is none of it: its types have no value, and every connection is plain.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod identity;
#[cfg(feature = "tls")]
mod peer;
#[cfg(feature = "tls")]
mod pinned;
#[cfg(feature = "tls")]
mod stream;
#[cfg(feature = "tls")]
mod trust;

use std::{io, path::PathBuf};

#[cfg(all(not(feature = "tls"), feature = "experiment"))]
pub(crate) use absent::by_system;
#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Acceptor, Peer, Stream, plain, prepare, socket};
#[cfg(not(feature = "tls"))]
pub use absent::{Identity, Trust};
#[cfg(feature = "tls")]
pub use identity::Identity;
#[cfg(all(feature = "tls", feature = "experiment"))]
pub(crate) use trust::by_system;
#[cfg(feature = "tls")]
pub use trust::{Authorities, Trust};
#[cfg(feature = "tls")]
pub(crate) use {
    acceptor::Acceptor,
    peer::Peer,
    stream::{Stream, plain, socket},
    trust::prepare,
};

/// The protocol of both ends, as TLS names it (ALPN).
#[cfg(feature = "tls")]
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
    /// The program has no TLS.
    #[error("this program was built without TLS")]
    Absent,
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

#[cfg(feature = "tls")]
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
