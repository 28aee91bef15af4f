//! Settings of the proxy.

use std::{net::SocketAddr, time::Duration};

use crate::tls::Identity;

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who we are to them, by TLS; `None`: connections are plain.
    pub tls: Option<Identity>,
    /// Connections at once. Of more, those that wait for a request give way, or the new ones are turned away.
    pub max_connections: usize,
    /// A connection on which no request begins for this long is closed.
    pub keep_alive_timeout: Duration,
    /// A client that has begun a head and takes longer than this for the rest is cut off.
    pub header_timeout: Duration,
    /// A client that stops sending its body for this long is cut off, and an upstream that takes nothing of it for so
    /// long has failed.
    pub body_idle_timeout: Duration,
    /// The longest request head, bytes; at least 8 KiB.
    pub max_head: usize,
    /// How much of a JSON body is read ahead in any case, bytes.
    pub peek_limit: usize,
    /// How much all requests together read ahead beyond that, where it is needed to learn a model, bytes.
    pub read_ahead_budget: usize,
    /// What a POST below `/v1` is that is none of the routes.
    pub unknown_v1: UnknownV1,
}

/// What a POST below `/v1` is whose path is none of the routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownV1 {
    /// A generation, of the route [`Route::V1Other`]: it takes a slot and obeys limits. A newer Ollama may have such.
    #[default]
    Generation,
    /// Forwarded, of the route [`Route::Other`].
    Other,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 11440)),
            tls: None,
            max_connections: 4096,
            keep_alive_timeout: Duration::from_secs(180),
            header_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(60),
            max_head: 64 << 10,
            peek_limit: 1 << 20,
            read_ahead_budget: 256 << 20,
            unknown_v1: UnknownV1::default(),
        }
    }
}
