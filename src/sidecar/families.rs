//! The metrics of the sidecar itself: its build, connections and upstreams.

use std::sync::Arc;

use prometheus::{
    Gauge, IntCounter, Registry,
    core::{Collector, Desc},
    proto,
};
use tokio::net::TcpListener;

use crate::{
    admin::{self, Admin},
    collector::Tasks,
    metric::{Family, gauge, int_counter},
    proxy,
    tls::Acceptor,
    upstream::Upstreams,
};

pub(super) struct Families {
    connections: Family<Gauge, 1>,
    refused: Family<IntCounter, 2>,
    vanished: Family<IntCounter, 1>,
    unauthorized: Family<IntCounter, 1>,
    panics: Arc<IntCounter>,
}

impl Families {
    pub(super) fn register(registry: &Registry, upstreams: &Arc<Upstreams>) -> prometheus::Result<Families> {
        let help = "Version and compiler of the program; the value is always 1.";
        let build = Family::register(registry, "build_info", help, ["version", "rustc"], gauge)?;
        build.child([env!("CARGO_PKG_VERSION"), env!("BUILD_RUSTC")]).set(1.0);
        registry.register(Box::new(UpstreamUp::new(upstreams.clone())?))?;
        let open = "Open connections.";
        let refused = "Connections refused or closed to make room, by listener and reason.";
        let vanished = "Connections closed because the client's system did not answer any more.";
        let unauthorized = "Requests to the admin address refused because the token was missing or wrong.";
        let panics = "Panics that were caught; each of them is a bug.";
        Ok(Families {
            connections: Family::register(registry, "connections_open", open, ["listener"], gauge)?,
            refused: Family::register(
                registry,
                "connections_refused_total",
                refused,
                ["listener", "reason"],
                int_counter,
            )?,
            vanished: Family::register(
                registry,
                "connections_vanished_total",
                vanished,
                ["listener"],
                int_counter,
            )?,
            unauthorized: Family::register(
                registry,
                "admin_requests_refused_total",
                unauthorized,
                ["reason"],
                int_counter,
            )?,
            panics: Family::register(registry, "panics_total", panics, [], int_counter)?.child([]),
        })
    }

    /// The counters of the proxy listener. `acceptor` tells whether it has TLS; without TLS, failed handshakes are
    /// not counted.
    pub(super) fn proxy(&self, acceptor: &Acceptor) -> proxy::Counts {
        proxy::Counts {
            open: self.connections.child(["proxy"]),
            refused: self.refused.child(["proxy", "max_connections"]),
            idle: self.refused.child(["proxy", "idle"]),
            lingering: self.refused.child(["proxy", "lingering"]),
            vanished: self.vanished.child(["proxy"]),
            stalled: self.refused.child(["proxy", "stalled"]),
            unsecured: self.unsecured("proxy", acceptor),
            panics: self.panics.clone(),
        }
    }

    fn unsecured(&self, listener: &str, acceptor: &Acceptor) -> Option<Arc<IntCounter>> {
        acceptor.is_secured().then(|| self.refused.child([listener, "tls"]))
    }

    pub(super) fn refusals(&self) -> admin::Refusals {
        let child = |reason| self.unauthorized.child([reason]);
        admin::Refusals { missing: child("missing"), wrong: child("wrong"), limited: child("limited") }
    }

    pub(super) fn admin(
        &self,
        socket: TcpListener,
        acceptor: Acceptor,
        admin: Admin,
        tasks: Tasks,
    ) -> admin::AdminListener {
        let counts = admin::AdminCounts {
            open: self.connections.child(["admin"]),
            refused: self.refused.child(["admin", "max_connections"]),
            idle: self.refused.child(["admin", "idle"]),
            vanished: self.vanished.child(["admin"]),
            unsecured: self.unsecured("admin", &acceptor),
        };
        admin::AdminListener::new(socket, acceptor, admin, counts, tasks)
    }
}

/// Exports the upstreams' health at each scrape.
struct UpstreamUp {
    family: Family<Gauge, 1>,
    upstreams: Arc<Upstreams>,
}

impl UpstreamUp {
    fn new(upstreams: Arc<Upstreams>) -> prometheus::Result<UpstreamUp> {
        let help = "1 while the upstream answers its probes, otherwise 0.";
        Ok(UpstreamUp { family: Family::new("upstream_up", help, ["upstream"], gauge)?, upstreams })
    }
}

impl Collector for UpstreamUp {
    fn desc(&self) -> Vec<&Desc> {
        self.family.desc()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        for upstream in self.upstreams.all() {
            self.family.child([upstream.name()]).set(f64::from(u8::from(upstream.health().alive)));
        }
        self.family.collect()
    }
}
