//! The whole sidecar: `Sidecar::builder()` → [`Bound`] → `run(shutdown)`.

mod config;
mod cut;
mod drain;
mod families;
mod reload;
mod reports;
mod slots;
mod stages;
mod surroundings;
#[cfg(test)]
mod tests;
mod wedge;

use std::{
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use prometheus::Registry;
use tokio::{net::TcpListener, runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "cli")]
pub(crate) use crate::store::{StoredKeys, StoredText};
use crate::{
    admin::{self, Admin, AskedToken, ClientAddress, History, Scraped},
    collector::{Registered, Task, gpu::Reader},
    proxy::{self, Proxy},
    recording::StreamSink,
    tls::Acceptor,
    traces::{NoExporter, Traces},
    upstream::{UpstreamError, Upstreams},
};
pub use config::Config;
pub use reload::Reload;

use cut::CutOnDrop;
use families::Families;
use reload::Reloaded;
use reports::{Reports, Sinks};
use surroundings::Surroundings;
use wedge::Wedges;

/// The most connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The sidecar, not yet bound.
///
/// ```no_run
/// # async fn example() -> Result<(), streamgauge::sidecar::BindError> {
/// use streamgauge::sidecar::Sidecar;
///
/// let bound = Sidecar::builder().bind().await?;
/// println!("clients: {}, Prometheus: {}", bound.proxy_addr(), bound.admin_addr());
/// bound.run(std::future::pending()).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sidecar {}

/// A sidecar that is being configured.
#[derive(Debug, Default)]
pub struct Builder {
    config: Config,
    registry: Option<Registry>,
    proxy_socket: Option<std::net::TcpListener>,
    admin_socket: Option<std::net::TcpListener>,
    runtimes: Vec<Handle>,
    admin_runtime: Option<Handle>,
    surroundings: Surroundings,
    sinks: Sinks,
}

/// A sidecar that is bound to its addresses and does not serve yet. Clients that connect wait.
#[derive(Debug)]
pub struct Bound {
    proxy_addr: SocketAddr,
    admin_addr: SocketAddr,
    listener: proxy::Listener,
    admin: admin::AdminListener,
    collectors: Registered,
    admin_runtime: Option<Handle>,
    drain_timeout: Duration,
    reports: Reports,
    wedges: Wedges,
    reload: Reload,
}

/// Why a sidecar could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// `proxy.listen` cannot be bound.
    #[error("cannot listen for clients on {addr}")]
    Proxy {
        /// The address to bind.
        addr: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// `admin.listen` cannot be bound.
    #[error("cannot listen for admin requests on {addr}")]
    Admin {
        /// The address to bind.
        addr: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The settings of the upstreams are invalid.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The exporter of traces cannot be created.
    #[error(transparent)]
    Traces(#[from] NoExporter),
    /// The registry already has a metric with one of the sidecar's names.
    #[error("cannot register the metrics")]
    Register(#[from] prometheus::Error),
}

impl Sidecar {
    /// Begins a sidecar with every setting at its default.
    ///
    /// A sidecar in fifteen lines, on a registry of the program:
    ///
    /// ```
    /// use prometheus::Registry;
    /// use streamgauge::sidecar::{self, Sidecar};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = sidecar::Config::default();
    /// config.proxy.listen.set_port(0);
    /// config.admin.listen.set_port(0);
    /// config.upstream.upstreams[0].name = "gpu0".to_owned();
    /// config.upstream.upstreams[0].url = "http://127.0.0.1:11434".parse()?;
    ///
    /// let registry = Registry::new();
    /// let bound = Sidecar::builder().config(config).registry(registry.clone()).bind().await?;
    /// println!("clients: {}, Prometheus: {}", bound.proxy_addr(), bound.admin_addr());
    ///
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let sidecar = tokio::spawn(bound.run(async { drop(stopped.await) }));
    /// // … serve, and later:
    /// drop(stop);
    /// sidecar.await?;
    /// assert!(registry.gather().iter().any(|family| family.name() == "streamgauge_upstream_up"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Sets the whole configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Builder {
        self.config = config;
        self
    }

    /// Registers the metrics on this registry. Default: a new one.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Builder {
        self.registry = Some(registry);
        self
    }

    /// Serves clients on this listening socket instead of binding `proxy.listen`. Another process may hold it too.
    /// Clients that connect before the sidecar serves wait.
    #[must_use]
    pub fn proxy_socket(mut self, socket: std::net::TcpListener) -> Builder {
        self.proxy_socket = Some(socket);
        self
    }

    /// Serves the admin address on this listening socket instead of binding `admin.listen`.
    #[must_use]
    pub fn admin_socket(mut self, socket: std::net::TcpListener) -> Builder {
        self.admin_socket = Some(socket);
        self
    }

    /// Serves clients on these runtimes. The number of connections decides how many are used: one for up to 32, two
    /// for up to 1,024, and one more for each further 512, up to all of them. If those in use are busy, new connections
    /// get one more. A connection stays on one runtime,
    /// together with its upstream connections. Single-threaded runtimes cost the least per chunk. They must outlive
    /// [`Bound::run`]. Default: the runtime that runs it.
    #[must_use]
    pub fn runtimes(mut self, handles: impl IntoIterator<Item = Handle>) -> Builder {
        self.runtimes = handles.into_iter().collect();
        self
    }

    /// Serves the admin address, probes upstreams and runs the collectors on this runtime, so that a scrape never
    /// waits for streams. It must outlive [`Bound::run`]. Default: the runtime that runs it.
    #[must_use]
    pub fn admin_runtime(mut self, handle: Handle) -> Builder {
        self.admin_runtime = Some(handle);
        self
    }

    /// Reads GPUs with this reader, every [`collector::Config::gpu`](crate::collector::Config::gpu). Default: NVIDIA's GPUs, with the feature
    /// `gpu`.
    #[must_use]
    pub fn gpus(mut self, reader: impl Reader) -> Builder {
        self.surroundings.gpus = Some(Box::new(reader));
        self
    }

    /// Writes the lines of the request log, of which [`Config::request_log`] says whether there are any, to this
    /// destination, on a thread of its own. Each write is one line. Default: stderr.
    #[must_use]
    pub fn request_log(mut self, sink: impl Write + Send + 'static) -> Builder {
        self.sinks.requests = Some(Box::new(sink));
        self
    }

    /// Records the generations of clients that end, as [`Config::recording`] chooses them, in this sink, on a thread of
    /// its own. Default: nothing is recorded.
    #[must_use]
    pub fn recording(mut self, sink: impl StreamSink) -> Builder {
        self.sinks.recording = Some(Box::new(sink));
        self
    }

    /// Exports the metrics `process_*`, for a process that runs nothing but the sidecar.
    #[must_use]
    pub fn process(mut self) -> Builder {
        self.surroundings.process = true;
        self
    }

    /// Binds both addresses. Call it within a tokio runtime.
    ///
    /// # Errors
    /// An address cannot be bound, the upstreams' settings are invalid, or the registry already has one of the
    /// names.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let Builder { config, registry, proxy_socket, admin_socket, runtimes, admin_runtime, .. } = self;
        let (surroundings, sinks, registry) = (self.surroundings, self.sinks, registry.unwrap_or_default());
        let upstreams = Arc::new(Upstreams::new(&config.upstream)?);

        let (addr, admin_listen) = (config.proxy.listen, config.admin.listen);
        let (proxy_socket, proxy_addr) =
            listen(addr, proxy_socket, None).map_err(|source| BindError::Proxy { addr, source })?;
        let (admin_socket, admin_addr) = listen(admin_listen, admin_socket, admin_runtime.as_ref())
            .map_err(|source| BindError::Admin { addr: admin_listen, source })?;

        let families = Families::register(&registry, &upstreams)?;
        let traces = register_traces(&config, &registry)?;
        let (stages, wedges, store) = stages::register(&config, &registry, upstreams, sinks, traces)?;
        let reports = Reports::of(&stages);
        let collectors = surroundings
            .collectors(config.collectors, &runtimes, admin_runtime.as_ref(), &stages)
            .register(&registry)?;
        let tasks = collectors.tasks();
        let proxy = Proxy::new(config.proxy, config.upstream, stages.clone(), &registry)?;
        let (acceptor, token) = guards(&config.admin);
        let reload = Reload::register(
            &registry,
            Reloaded {
                admission: stages.admission,
                shaping: stages.shaping,
                upstreams: stages.upstreams.clone(),
                proxy: proxy.acceptor().clone(),
                admin: acceptor.clone(),
                token: token.clone(),
            },
        )?;
        let admin = Admin {
            registry,
            meter: stages.meter,
            upstreams: stages.upstreams,
            queue: stages::queue(stages.scheduler),
            draining: CancellationToken::new(),
            history: History::default(),
            scraped: Scraped::default(),
            clients: client_address(proxy_addr, &proxy),
            token,
            refusals: families.refusals(),
            store,
            openmetrics: config.admin.openmetrics,
            recorder: stages.recorder,
        };
        let counts = families.proxy(proxy.acceptor());
        let monitor = || tasks.monitor(Task::Connection);
        Ok(Bound {
            proxy_addr,
            admin_addr,
            listener: proxy::Listener::new(proxy_socket, &proxy, runtimes, counts, monitor),
            admin: families.admin(admin_socket, acceptor, admin, tasks.clone()),
            collectors,
            admin_runtime,
            drain_timeout: config.drain_timeout,
            reports,
            wedges,
            reload,
        })
    }
}

/// What the page says of the listener for clients.
fn client_address(addr: SocketAddr, proxy: &Proxy) -> ClientAddress {
    ClientAddress { addr, tls: proxy.acceptor().is_secured(), stall_timeout: proxy.stall_timeout() }
}

/// The requirements of the admin address for its clients: TLS and a token.
fn guards(config: &admin::Config) -> (Acceptor, AskedToken) {
    (Acceptor::new(config.tls.as_ref()), AskedToken::new(config.token))
}

fn register_traces(config: &Config, registry: &Registry) -> Result<Option<Arc<Traces>>, NoExporter> {
    config.traces.as_ref().map(|traces| Traces::register(registry, traces)).transpose()
}

/// Returns the given socket, or a new one bound to `addr`, and its address. The socket belongs to `runtime`, or to the
/// one that calls.
fn listen(
    addr: SocketAddr,
    handed_in: Option<std::net::TcpListener>,
    runtime: Option<&Handle>,
) -> io::Result<(TcpListener, SocketAddr)> {
    let _inside = runtime.map(Handle::enter);
    let socket = match handed_in {
        Some(socket) => {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)?
        }
        None => bind_new(addr)?,
    };
    let addr = socket.local_addr()?;
    Ok((socket, addr))
}

fn bind_new(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        if addr.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    // A restart need not wait for the connections of the previous process to expire.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

impl Bound {
    /// The address for clients.
    #[must_use]
    pub fn proxy_addr(&self) -> SocketAddr {
        self.proxy_addr
    }

    /// The admin address.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// The registry whose metrics `/metrics` returns.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.admin.admin.registry
    }

    /// The upstreams. Their health is unknown until [`Bound::run`] probes them.
    #[cfg(feature = "cli")]
    pub(crate) fn upstreams(&self) -> Arc<Upstreams> {
        self.admin.admin.upstreams.clone()
    }

    /// The text with keys of callers in the store, if there is a store.
    #[cfg(feature = "cli")]
    pub(crate) fn stored_keys(&self) -> Option<StoredKeys> {
        self.admin.admin.store.as_ref().map(|store| store.stored_keys())
    }

    /// A handle that changes settings while the sidecar runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Serves until `shutdown` completes, and then drains: no new requests start, and running ones are cut at the
    /// deadline. Dropping the future cuts all requests at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Admin { meter, upstreams, draining, store, .. } = self.admin.admin.clone();
        let admin_runtime = self.admin_runtime.unwrap_or_else(Handle::current);
        // Aborted on drop, which is when this future ends or is dropped.
        let mut beside = JoinSet::new();
        beside.spawn_on(self.admin.serve(), &admin_runtime);
        beside.spawn_on(upstreams.watch(), &admin_runtime);
        beside.spawn_on(self.wedges.watch(), &admin_runtime);
        if let Some(store) = store {
            beside.spawn_on(store.run(), &admin_runtime);
        }
        beside.spawn_on(self.collectors.run(), &admin_runtime);
        if let Some(traces) = self.reports.traces.clone() {
            beside.spawn_on(traces.run(), &admin_runtime);
        }

        let serves = async {
            let connections = self.listener.serve(shutdown).await;
            draining.cancel();
            drain::drain(connections, self.drain_timeout, &meter).await;
        };
        CutOnDrop::new(serves, &meter).await;
        self.reports.flush().await;
    }
}
