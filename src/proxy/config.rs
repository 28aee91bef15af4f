//! Settings of the proxy.

use std::{net::SocketAddr, time::Duration};

use crate::tls::Identity;

/// The settings of the proxy listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address for clients. Port 0 binds a free port.
    pub listen: SocketAddr,
    /// The server certificate. `None`: the listener speaks plain HTTP.
    pub tls: Option<Identity>,
    /// The most client connections. When it is reached, waiting connections give way to new ones, or the new ones
    /// are refused.
    pub max_connections: usize,
    /// How long a connection may wait for a request before it is closed.
    pub keep_alive_timeout: Duration,
    /// How long a client may take for a request head, counted from its first byte.
    pub header_timeout: Duration,
    /// How long a client may send nothing of its body before it is disconnected, and how long an upstream may
    /// accept nothing of a request before it has failed.
    pub body_idle_timeout: Duration,
    /// A client that reads nothing of a response for this long is disconnected, if the response holds a slot; zero: never.
    pub client_stall_timeout: Duration,
    /// The most bytes of a response that holds a slot that are taken before a slow client reads them, so that the slot is
    /// free when the upstream has finished; zero: none.
    pub read_ahead: usize,
    /// The longest request head in bytes, at least 8 KiB.
    pub max_head: usize,
    /// The part of a JSON body that is always read ahead, in bytes.
    pub peek_limit: usize,
    /// The memory, in bytes, that all requests together may use to read further ahead to find the model.
    pub read_ahead_budget: usize,
    /// How a POST below `/v1` to an unknown path is treated.
    pub unknown_v1: UnknownV1,
    /// Whether each response gets the id of its request, its wait in the queue and the name of its upstream.
    pub response_fields: bool,
    /// How long a stream of server-sent events may have no response before its client gets the head and keep-alive lines,
    /// and the pause between these lines; zero: the client gets none.
    pub sse_keep_alive: Duration,
}

/// How a POST below `/v1` to an unknown path is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownV1 {
    /// As a generation on the route [`Route::V1Other`](crate::protocol::Route::V1Other), which takes a slot and obeys limits. A newer Ollama may
    /// have such a route.
    #[default]
    Generation,
    /// It is forwarded on the route [`Route::Other`](crate::protocol::Route::Other).
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
            client_stall_timeout: Duration::from_secs(120),
            read_ahead: 256 << 10,
            max_head: 64 << 10,
            peek_limit: 1 << 20,
            read_ahead_budget: 256 << 20,
            unknown_v1: UnknownV1::default(),
            response_fields: false,
            sse_keep_alive: Duration::ZERO,
        }
    }
}
