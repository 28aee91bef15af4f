//! Envoy.

use std::{net::SocketAddr, process::Command};

use anyhow::Result;
use serde_json::json;

use super::{Program, Site, write};

pub(super) const PROGRAM: Program = Program { name: "envoy", command };

fn command(&Site { program, files, addr, upstream, workers, .. }: &Site<'_>) -> Result<Command> {
    let socket = |addr: SocketAddr| json!({ "socket_address": { "address": addr.ip().to_string(), "port_value": addr.port() } });
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "ollama", "timeout": "0s" } });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "streams",
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }],
    });
    let filter = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    // The default limits are too low for a thousand streams.
    let most = json!({ "max_connections": 65536, "max_pending_requests": 65536, "max_requests": 65536 });
    let config = json!({
        "static_resources": {
            "listeners": [{
                "name": "streams",
                "address": socket(addr),
                "filter_chains": [{ "filters": [filter] }],
            }],
            "clusters": [{
                "name": "ollama",
                "type": "STATIC",
                "connect_timeout": "10s",
                "circuit_breakers": { "thresholds": [most] },
                "load_assignment": {
                    "cluster_name": "ollama",
                    "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(upstream) } }] }],
                },
            }],
        },
    });
    let config = write(files, "envoy.json", &config.to_string())?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config).args(["--log-level", "critical", "--use-dynamic-base-id"]);
    command.arg("--concurrency").arg(workers.to_string());
    Ok(command)
}
