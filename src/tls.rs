//! TLS, from the package [`streamgauge_tls`]. Without the feature `tls`, types of the same names without values, so
//! that every connection is plain.

#[cfg(not(feature = "tls"))]
mod absent;

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Acceptor, Peer, Stream, plain, prepare, socket};
#[cfg(not(feature = "tls"))]
pub use absent::{Identity, Trust, Unusable};
#[cfg(feature = "tls")]
pub(crate) use streamgauge_tls::{Acceptor, Peer, Stream, plain, prepare, socket};
#[cfg(feature = "tls")]
pub use streamgauge_tls::{Authorities, Identity, Trust, Unusable};
