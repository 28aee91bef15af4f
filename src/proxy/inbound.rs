//! The body of a client's request.

use hyper::body::Incoming;

use crate::connection::Attended;

/// The body of a client's request.
pub(super) type Inbound = Attended<Incoming>;
