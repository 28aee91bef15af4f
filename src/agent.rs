//! The whole sidecar: `Agent::builder()` → [`Bound`] → `run(shutdown)`.

use std::{future::Future, net::SocketAddr, time::Duration};

use crate::{admin, meter, proxy, upstream};

/// Settings of every stage.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener towards clients.
    pub proxy: proxy::Config,
    /// The listener towards Prometheus and people.
    pub admin: admin::Config,
    /// The Ollamas.
    pub upstream: upstream::Config,
    /// The meter.
    pub meter: meter::Config,
    /// How long streams may take to end once the agent is told to stop.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            proxy: proxy::Config::default(),
            admin: admin::Config::default(),
            upstream: upstream::Config::default(),
            meter: meter::Config::default(),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// The sidecar, not yet bound.
#[derive(Debug)]
pub struct Agent {}

/// What is being put together.
#[derive(Debug, Default)]
pub struct Builder {}

/// Bound to its addresses, not yet serving.
#[derive(Debug)]
pub struct Bound {}

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
#[error("not written yet")]
pub struct BindError {}

impl Agent {
    /// An agent with every setting at its default.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Takes settings whole.
    #[must_use]
    pub fn config(self, _config: Config) -> Builder {
        self
    }

    /// Registers on this registry instead of one of its own.
    #[must_use]
    pub fn registry(self, _registry: prometheus::Registry) -> Builder {
        self
    }

    /// Serves the admin address on this runtime, so that a scrape never waits for streams; default: the
    /// runtime that calls [`Bound::run`].
    #[must_use]
    pub fn admin_runtime(self, _handle: tokio::runtime::Handle) -> Builder {
        self
    }

    /// Binds both addresses.
    ///
    /// # Errors
    /// An address that cannot be bound, or a name that the registry has already.
    pub async fn bind(self) -> Result<Bound, BindError> {
        Ok(Bound {})
    }
}

impl Bound {
    /// Where clients connect.
    #[must_use]
    pub fn proxy_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// Where Prometheus connects.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// The registry that `/metrics` shows.
    #[must_use]
    pub fn registry(&self) -> &prometheus::Registry {
        unreachable!()
    }

    /// Serves until `shutdown` completes, then drains: no new streams, those that run may end until the deadline.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        shutdown.await;
    }
}
