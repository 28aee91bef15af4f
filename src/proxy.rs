//! The story of one request.

use std::{net::SocketAddr, time::Duration};

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections at once; more are turned away.
    pub max_connections: usize,
    /// A client that sends its head slower than this is cut off.
    pub header_timeout: Duration,
    /// A client that stops sending its body for this long is cut off.
    pub body_idle_timeout: Duration,
    /// The longest request head, bytes; at least 8 KiB.
    pub max_head: usize,
    /// How much of a JSON body is read ahead, bytes.
    pub peek_limit: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 11440)),
            max_connections: 4096,
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(60),
            max_head: 64 << 10,
            peek_limit: 1 << 20,
        }
    }
}
