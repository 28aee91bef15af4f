//! Settings of the shared limits.

use std::{fmt, path::PathBuf, time::Duration};

use url::Url;
use zeroize::Zeroizing;

use super::policy::OnFailure;
use crate::tls::Trust;

/// Settings of the limits that several sidecars share in a Redis or a Valkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The servers. The first one that answers and accepts writes is used.
    pub servers: Vec<Server>,
    /// The user (ACL). `None`: the default user.
    pub username: Option<String>,
    /// The password. `None`: none is sent.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: u32,
    /// The first part of every key.
    pub prefix: String,
    /// The longest time for which a request waits for the store.
    pub deadline: Duration,
    /// How a request is decided while the store does not answer, unless its key says otherwise.
    pub on_failure: OnFailure,
}

impl Config {
    /// Default settings with one server.
    #[must_use]
    pub fn new(server: Server) -> Config {
        Config {
            servers: vec![server],
            username: None,
            password: None,
            database: 0,
            prefix: "streamgauge".to_owned(),
            deadline: Duration::from_millis(20),
            on_failure: OnFailure::Local,
        }
    }
}

/// The address of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// TCP, or TLS with the verification `trust`.
    Tcp {
        /// The URL of the server. Only host and port are used.
        url: Url,
        /// `None`: no TLS.
        trust: Option<Trust>,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Tcp { url, trust } => {
                let scheme = if trust.is_some() { "rediss" } else { "redis" };
                let (host, port) =
                    (url.host_str().unwrap_or("localhost"), url.port().unwrap_or(DEFAULT_PORT));
                write!(f, "{scheme}://{host}:{port}")
            }
            Server::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// The port of a Redis.
pub(super) const DEFAULT_PORT: u16 = 6379;

/// A password. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a password.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(Zeroizing::new(text.to_owned()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
