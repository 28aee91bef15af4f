//! The sidecar of the demo, and its ports.

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

/// What the command line asks for.
#[derive(Debug)]
pub(super) struct AskedSidecar {
    pub(super) listen: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
    /// A made-up GPU that is as busy as this Ollama, which has so many places.
    pub(super) gpu: Option<(Arc<Truth>, f64)>,
}

/// Binds where it was asked to; where it was not, the default port, or a free one if that is taken.
pub(super) async fn bind(
    ollama: SocketAddr,
    AskedSidecar { listen, admin, gpu }: AskedSidecar,
    admin_runtime: Handle,
) -> anyhow::Result<Bound> {
    let mut config = Config::default();
    let upstream = config.upstream.upstreams.first_mut().expect("the default has one");
    upstream.name = "simulated".to_owned();
    upstream.url = Url::parse(&format!("http://{ollama}")).context("no URL leads to the simulated Ollama")?;
    config.proxy.listen = listen.unwrap_or(config.proxy.listen);
    if gpu.is_none() {
        // Those of this machine have no part in it.
        config.collectors.gpu = None;
    }
    config.admin.listen = admin.unwrap_or(config.admin.listen);
    loop {
        // A registry of its own each time: an attempt that failed may have registered something.
        let mut sidecar =
            Sidecar::builder().config(config.clone()).admin_runtime(admin_runtime.clone()).process();
        if let Some((ollama, places)) = gpu.clone() {
            sidecar = sidecar.gpus(FakeReader::new(1).load(move || ollama.decoding() as f64 / places));
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

/// Whether an address that cannot be had may be another: it is taken, and nobody asked for it.
fn yields(addr: SocketAddr, asked: Option<SocketAddr>, why: &io::Error) -> bool {
    asked.is_none() && addr.port() != 0 && why.kind() == ErrorKind::AddrInUse
}
