//! Connections of clients: how they begin, wait, break off and end.

mod aborts;
mod drain;
mod early;
mod half_close;
mod keep_alive;
#[cfg(feature = "tls")]
pub(crate) mod tls;
mod uploads;
