//! TLS, if the program has it: the package [`streamgauge_tls`], or, without the feature `tls`, the same names with no
//! values, so that every connection is plain.

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
