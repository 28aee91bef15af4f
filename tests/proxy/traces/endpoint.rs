//! An endpoint that hangs, refuses, or is gone, and more spans than it takes.

use std::time::Duration;

use http::{HeaderMap, Method};
use prometheus::{Registry, TextEncoder};
use streamgauge::{
    meter::{self, Facts, Meter, TraceId, TraceParent},
    traces::Traces,
};
use tokio::{net::TcpListener, time::Instant};

use super::{
    generate,
    receiver::{Manner, Receiver},
    to, traced,
};
use crate::harness::{self, Sidecar, Upstream, sidecar, upstream};

const EXPORTED: &str = "trace_spans_exported_total";

fn dropped(reason: &str) -> String {
    format!("trace_spans_dropped_total{{reason=\"{reason}\"}}")
}

fn failed(reason: &str) -> String {
    format!("trace_export_failures_total{{reason=\"{reason}\"}}")
}

/// A sidecar whose endpoint is at an address at which nothing listens.
async fn before_nothing() -> (Upstream, Sidecar, TcpListener) {
    let (upstream, reserved) = (upstream().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let mut config = harness::config(upstream.addr);
    config.traces = Some(to(&format!("http://{}", reserved.local_addr().unwrap())));
    (upstream, sidecar(config).await, reserved)
}

#[tokio::test]
async fn exported_and_rejected_spans_are_counted() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let sidecar = sidecar(traced(&upstream, &endpoint)).await;
    generate(&sidecar, &mut upstream, "").await;
    endpoint.span().await;
    sidecar.until(EXPORTED, 1.0).await;
    sidecar.until("trace_spans_queued", 0.0).await;

    let mut endpoint = Receiver::start(Manner::Rejects(1)).await;
    let sidecar = harness::sidecar(traced(&upstream, &endpoint)).await;
    generate(&sidecar, &mut upstream, "").await;
    endpoint.span().await;
    sidecar.until(&dropped("rejected"), 1.0).await;
    assert_eq!(sidecar.value(EXPORTED), 0.0);
}

#[tokio::test]
async fn span_that_the_endpoint_refuses_is_dropped_and_one_that_it_may_take_later_is_tried_again() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Answers(401)).await);
    let sidecar = sidecar(traced(&upstream, &endpoint)).await;
    generate(&sidecar, &mut upstream, "").await;
    endpoint.span().await;
    sidecar.until(&dropped("refused"), 1.0).await;
    assert_eq!(sidecar.value(&failed("refused")), 1.0);

    let mut endpoint = Receiver::start(Manner::Answers(503)).await;
    let sidecar = harness::sidecar(traced(&upstream, &endpoint)).await;
    generate(&sidecar, &mut upstream, "").await;
    let first = endpoint.span().await;
    assert_eq!(endpoint.span().await, first);
    assert!(sidecar.value(&failed("busy")) >= 1.0 && sidecar.value("trace_spans_queued") == 1.0);
}

#[tokio::test]
async fn spans_of_an_outage_arrive_when_the_endpoint_is_back() {
    let (mut upstream, sidecar, reserved) = before_nothing().await;
    let addr = reserved.local_addr().unwrap();
    drop(reserved);
    generate(&sidecar, &mut upstream, "").await;
    sidecar.until_some(&failed("connection")).await;
    let mut endpoint = Receiver::on(TcpListener::bind(addr).await.unwrap(), Manner::Takes);
    endpoint.span().await;
    sidecar.until(EXPORTED, 1.0).await;
    sidecar.until("trace_spans_queued", 0.0).await;
}

#[tokio::test]
async fn hanging_endpoint_delays_no_request_and_the_end_by_two_seconds_at_most() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Hangs).await);
    let mut config = traced(&upstream, &endpoint);
    config.traces.as_mut().unwrap().queue = 2;
    let mut sidecar = sidecar(config).await;
    generate(&sidecar, &mut upstream, "").await;
    endpoint.span().await;
    for _ in 0..5 {
        generate(&sidecar, &mut upstream, "").await;
    }
    // One is in the hands of the exporter and two wait.
    sidecar.until(&dropped("queue_full"), 3.0).await;
    assert_eq!(sidecar.value("trace_spans_queued"), 3.0);
    let registry = sidecar.registry.clone();
    let since = Instant::now();
    sidecar.stop();
    sidecar.ended().await;
    let lasted = since.elapsed();
    // Without its own limit, it would be the 10 s of `traces.timeout`. A busy machine needs some of the difference.
    assert!((Duration::from_secs(2)..Duration::from_secs(9)).contains(&lasted), "{lasted:?}");
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("streamgauge_trace_spans_dropped_total{reason=\"shutdown\"} 3\n"), "{text}");
}

#[tokio::test]
async fn endpoint_whose_answer_has_no_end_holds_up_no_span() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Floods).await);
    let mut config = traced(&upstream, &endpoint);
    // Only the length of the answer may end it.
    config.traces.as_mut().unwrap().timeout = Duration::from_secs(3600);
    let sidecar = sidecar(config).await;
    for exported in [1.0, 2.0] {
        generate(&sidecar, &mut upstream, "").await;
        endpoint.span().await;
        sidecar.until(EXPORTED, exported).await;
    }
}

#[tokio::test]
async fn endpoint_that_is_gone_does_not_delay_the_end() {
    let (mut upstream, mut sidecar, reserved) = before_nothing().await;
    drop(reserved);
    generate(&sidecar, &mut upstream, "").await;
    sidecar.until_some(&failed("connection")).await;
    let since = Instant::now();
    sidecar.stop();
    sidecar.ended().await;
    // Attempts are repeated for a minute.
    assert!(since.elapsed() < Duration::from_secs(9), "{:?}", since.elapsed());
}

#[tokio::test]
async fn spans_that_wait_are_sent_at_the_end() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = traced(&upstream, &endpoint);
    config.traces.as_mut().unwrap().interval = Duration::from_secs(3600);
    let mut sidecar = sidecar(config).await;
    for _ in 0..3 {
        generate(&sidecar, &mut upstream, "").await;
    }
    assert!(endpoint.rest().is_empty());
    sidecar.stop();
    sidecar.ended().await;
    assert_eq!(endpoint.posted().await.spans().len(), 3);
}

#[tokio::test]
async fn many_foreign_traces_cost_spans_and_no_memory() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Hangs).await);
    let mut config = traced(&upstream, &endpoint);
    config.traces.as_mut().unwrap().queue = 8;
    let sidecar = sidecar(config).await;
    generate(&sidecar, &mut upstream, "").await;
    endpoint.span().await;
    for id in 1..=100 {
        // The sidecar answers it by itself.
        let parent = format!("traceparent: 00-{id:032x}-{id:016x}-01\r\n");
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n{parent}Connection: close\r\n\r\n");
        assert!(sidecar.exchange(&request).await.starts_with("HTTP/1.1 400 "));
    }
    sidecar.until(&dropped("queue_full"), 92.0).await;
    assert_eq!(sidecar.value("trace_spans_queued"), 9.0);
}

/// Nobody takes spans out of the queue, so that all further ones are dropped.
#[test]
fn hundred_thousand_traces_leave_the_queue_and_no_more() {
    let registry = Registry::new();
    let config = to("http://localhost");
    let traces = Traces::register(&registry, &config).unwrap();
    let meter = Meter::register(&Registry::new(), &meter::Config::default(), &[]).unwrap();
    for id in 1..=100_000_u128 {
        let trace = TraceId::new(id.to_be_bytes()).unwrap();
        let parent = TraceParent { trace, span: [1; 8], is_sampled: true };
        let sampled = traces.sample(Some(parent), &HeaderMap::new(), &Method::GET).unwrap();
        let mut measurement = meter.start(Facts::new("GET", "/api/tags"));
        let (traces, live) = (traces.clone(), measurement.live().clone());
        measurement.on_end(move |ending| traces.finish(sampled, &live, ending));
    }
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let lost = 100_000 - config.queue;
    assert!(text.contains(&format!("trace_spans_dropped_total{{reason=\"queue_full\"}} {lost}\n")), "{text}");
    assert!(text.contains(&format!("trace_spans_queued {}\n", config.queue)), "{text}");
}
