//! W3C Trace Context: parents, sampling, and malformed fields.

use super::{generate, receiver::Manner, receiver::Receiver, traced};
use crate::harness::{sidecar, upstream};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn span_is_child_of_the_clients_and_the_fields_reach_the_upstream_unchanged() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = traced(&upstream, &endpoint);
    // The parent decides.
    config.traces.as_mut().unwrap().sample_ratio = 0.0;
    let sidecar = sidecar(config).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let fields =
        format!("TraceParent: {parent}\r\ntracestate: congo=t61rcWkgMzE,  rojo=00f067aa0ba902b7\r\n");
    let head = generate(&sidecar, &mut upstream, &fields).await;
    assert!(head.contains(fields.trim_end()), "{head}");
    let span = endpoint.span().await;
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), SPAN.to_owned()));
    assert_eq!(span.trace_state, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    // Sampled, and the parent is in another process.
    assert_eq!(span.flags, 0x301);
    assert!(span.span_id.iter().any(|byte| *byte != 0) && hex(&span.span_id) != SPAN);
}

#[tokio::test]
async fn request_whose_parent_is_not_sampled_has_no_span() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let sidecar = sidecar(traced(&upstream, &endpoint)).await;
    let parent = format!("traceparent: 00-{TRACE}-{SPAN}-00\r\n");
    let head = generate(&sidecar, &mut upstream, &parent).await;
    assert!(head.contains(&parent), "{head}");
    // The first span is that of the next request.
    generate(&sidecar, &mut upstream, "").await;
    assert_ne!(hex(&endpoint.span().await.trace_id), TRACE);
    assert!(endpoint.rest().is_empty());
}

#[tokio::test]
async fn malformed_parent_begins_a_new_trace_and_is_forwarded_as_it_is() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let sidecar = sidecar(traced(&upstream, &endpoint)).await;
    let one = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    for fields in [
        format!("traceparent: ff-{TRACE}-{SPAN}-01\r\n"),
        format!("traceparent: 00-{TRACE}-{SPAN}-01-more\r\n"),
        format!("traceparent: 00-{}-{SPAN}-01\r\n", "0".repeat(32)),
        format!("traceparent: 00-{}-{SPAN}-01\r\n", TRACE.to_uppercase()),
        "traceparent: b3-of-another-system\r\ntracestate: a=b\r\n".to_owned(),
        one.repeat(2),
        "tracestate: a=b\r\n".to_owned(),
        format!("traceparent: {}\r\n", "é".repeat(100)),
    ] {
        let head = generate(&sidecar, &mut upstream, &fields).await;
        assert!(head.contains(fields.trim_end()), "{head}");
        let span = endpoint.span().await;
        assert!(span.parent_span_id.is_empty() && hex(&span.trace_id) != TRACE, "{fields}");
        assert_eq!((span.trace_state.as_str(), span.flags), ("", 0x101), "{fields}");
    }
}

#[tokio::test]
async fn ratio_decides_about_requests_without_a_parent() {
    let (upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = traced(&upstream, &endpoint);
    config.traces.as_mut().unwrap().sample_ratio = 0.5;
    let mut sidecar = sidecar(config).await;
    for _ in 0..400 {
        // The upstream answers it by itself.
        sidecar.exchange("GET /api/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    }
    sidecar.stop();
    sidecar.ended().await;
    let spans = endpoint.rest().len();
    // Six standard deviations.
    assert!((140..=260).contains(&spans), "{spans}");
}
