//! A program with the whole sidecar and its own registry. Built by build.sh.

use std::error::Error;

use prometheus::Registry;
use streamgauge::{sidecar::{self, Sidecar}, metric::Scrape};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = sidecar::Config::default();
    config.proxy.listen.set_port(0);
    config.admin.listen.set_port(0);
    let registry = Registry::new();
    let bound = Sidecar::builder().config(config).registry(registry.clone()).bind().await?;
    assert_ne!(bound.proxy_addr(), bound.admin_addr());
    bound.run(std::future::ready(())).await;
    let upstreams = Scrape::take(&registry).find("upstream_up").series().count();
    assert_eq!(upstreams, 1);
    Ok(())
}
