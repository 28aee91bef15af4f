//! `/metrics`, `/livez`, `/readyz`, `/streams`.

use std::net::SocketAddr;

/// Settings of this stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Prometheus and people connect; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Config {
        Config { listen: SocketAddr::from(([127, 0, 0, 1], 9464)) }
    }
}
