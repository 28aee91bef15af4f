//! The sidecar of the demo and its addresses.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
};

use anyhow::Context;
use tokio::runtime::Handle;
use url::Url;

use crate::{
    cli::bind,
    collector::FakeReader,
    sidecar::{BindError, Bound, Config, Sidecar},
    simulate::Truth,
};

/// The flags that concern the sidecar.
#[derive(Debug)]
pub(super) struct AskedSidecar {
    pub(super) listen: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
    /// A fake GPU that is as busy as this simulated Ollama, and the number of streams that the Ollama can decode at
    /// once.
    pub(super) gpu: Option<(Arc<Truth>, f64)>,
}

/// Binds the given addresses. For an address that was not given: binds the default port, or a free port if the
/// default is taken.
pub(super) async fn bind(
    ollama: SocketAddr,
    AskedSidecar { listen, admin, gpu }: AskedSidecar,
    admin_runtime: Handle,
) -> anyhow::Result<Bound> {
    let mut config = Config::default();
    let upstream = config.upstream.upstreams.first_mut().expect("the default has one");
    upstream.name = "simulated".to_owned();
    upstream.url = Url::parse(&format!("http://{ollama}"))
        .context("the address of the simulated Ollama cannot be written as a URL")?;
    config.proxy.listen = listen.unwrap_or(config.proxy.listen);
    if gpu.is_none() {
        // The real GPUs of this machine have no part in the demo.
        config.collectors.gpu = None;
    }
    config.admin.listen = admin.unwrap_or(config.admin.listen);
    loop {
        // A new registry for each attempt, since a failed one may have registered metrics.
        let mut sidecar =
            Sidecar::builder().config(config.clone()).admin_runtime(admin_runtime.clone()).process();
        if let Some((ollama, slots)) = gpu.clone() {
            sidecar = sidecar.gpus(FakeReader::new(1).load(move || ollama.decoding() as f64 / slots));
        }
        let error = match sidecar.bind().await {
            Ok(bound) => return Ok(bound),
            Err(error) => error,
        };
        match &error {
            BindError::Proxy { addr, source } if yields(*addr, listen, source) => {
                config.proxy.listen.set_port(0);
            }
            BindError::Admin { addr, source } if yields(*addr, admin, source) => {
                config.admin.listen.set_port(0);
            }
            _ => return Err(bind::explain(error, "--listen", "--admin")),
        }
    }
}

/// Whether another port may be used: the address is taken, and the user did not choose it.
fn yields(addr: SocketAddr, asked: Option<SocketAddr>, why: &io::Error) -> bool {
    asked.is_none() && addr.port() != 0 && why.kind() == ErrorKind::AddrInUse
}
