//! An endpoint behind TLS: which certificates are accepted.

use streamgauge::tls::Trust;

use super::{
    generate,
    receiver::{Manner, Receiver},
    to,
};
use crate::{
    authority::Authority,
    connection::tls::identity,
    harness::{self, sidecar, upstream},
    upstream::verified::{before, only},
};

const EXPORTED: &str = "trace_spans_exported_total";
const FAILED: &str = "trace_export_failures_total{reason=\"connection\"}";

#[tokio::test]
async fn https_endpoint_with_trusted_certificate_gets_the_spans() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("of clients"));
    let own = clients.issue("us");
    for (required, shown) in [(None, None), (Some(&clients), Some(identity(&own)))] {
        let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
        let addr = before(endpoint.addr, &authority.issue("127.0.0.1"), required).await;
        let mut config = harness::config(upstream.addr);
        let mut traces = to(&format!("https://{addr}"));
        traces.trust = Some(Trust::only(only(&authority), shown));
        config.traces = Some(traces);
        let sidecar = sidecar(config).await;
        generate(&sidecar, &mut upstream, "").await;
        assert_eq!(endpoint.span().await.name, "text_completion m:latest");
        sidecar.until(EXPORTED, 1.0).await;
        assert_eq!(sidecar.value(FAILED), 0.0);
    }
}

#[tokio::test]
async fn https_endpoint_with_wrong_certificate_gets_no_span() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let trust = || Some(Trust::only(only(&authority), None));
    for (issued, trust) in [
        (stranger.issue("127.0.0.1"), trust()),
        (authority.issue("127.0.0.1"), None),
        (authority.issue("127.0.0.2"), trust()),
        (authority.issue_until("127.0.0.1", 2001), trust()),
    ] {
        let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
        let addr = before(endpoint.addr, &issued, None).await;
        let mut config = harness::config(upstream.addr);
        let mut traces = to(&format!("https://{addr}"));
        traces.trust = trust;
        config.traces = Some(traces);
        let sidecar = sidecar(config).await;
        generate(&sidecar, &mut upstream, "").await;
        sidecar.until_some(FAILED).await;
        assert_eq!(sidecar.value(EXPORTED), 0.0);
        assert!(endpoint.rest().is_empty());
    }
}
