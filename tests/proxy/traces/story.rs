//! The content of a span.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use streamgauge::{
    admission::{Access, Digest, Key, Limits},
    upstream::{StreamLimit, UpstreamConfig},
};

use super::{
    generate,
    receiver::{Manner, Receiver, names, shown},
    to, traced,
};
use crate::harness::{self, RECORD, STREAM, chunk, config, listing, post_once, sidecar, upstream};

/// The content of the span of the stream below.
const STREAM_TOLD: &str = "gen_ai.operation.name=chat\n\
    gen_ai.provider.name=ollama\n\
    gen_ai.request.model=M:latest\n\
    gen_ai.request.stream=true\n\
    gen_ai.response.finish_reasons=stop\n\
    gen_ai.response.model=m:latest\n\
    gen_ai.usage.input_tokens=7\n\
    gen_ai.usage.output_tokens=2\n\
    http.request.method=POST\n\
    http.response.status_code=200\n\
    http.route=/api/chat\n\
    streamgauge.caller=anonymous\n\
    streamgauge.eval.duration=0.0004\n\
    streamgauge.hidden_queue.duration=0\n\
    streamgauge.load.duration=0.0002\n\
    streamgauge.outcome=complete\n\
    streamgauge.prompt.truncation_suspected=false\n\
    streamgauge.prompt_eval.duration=0.0003\n\
    streamgauge.route=chat\n\
    streamgauge.upstream=gpu0\n";

fn nanos(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Its attributes, one on each line, without those that differ between runs.
fn told(span: &Span) -> String {
    let changing = ["streamgauge.request.id", "gen_ai.response.time_to_first_chunk"];
    let shown = shown(&span.attributes);
    let lines = shown.iter().filter(|(name, _)| !changing.contains(&name.as_str()));
    lines.map(|(name, value)| format!("{name}={value}\n")).collect()
}

#[tokio::test]
async fn span_of_a_stream_has_its_phases_tokens_and_outcome() {
    let mut upstream = listing("{\"models\":[{\"name\":\"m:latest\"}]}").await;
    let mut endpoint = Receiver::start(Manner::Takes).await;
    let mut config = traced(&upstream, &endpoint);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    let sidecar = sidecar(config).await;
    sidecar.until("upstream_up{upstream=\"gpu0\"}", 1.0).await;
    let before = nanos(SystemTime::now());
    let client = sidecar.send(&post_once("/api/chat", "{\"model\":\"M\",\"messages\":[\"secret\"]}")).await;
    let mut asked = upstream.asked().await;
    asked.body(35).await;
    let last = "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":900000,\"load_duration\":\
        200000,\"prompt_eval_count\":7,\"prompt_eval_duration\":300000,\"eval_count\":2,\"eval_duration\":400000}\n";
    let record = "{\"message\":{\"content\":\"secret\"},\"done\":false}\n";
    asked.write(&[STREAM, &chunk(record)].concat()).await;
    asked.write(&[&chunk(record), &chunk(last), "0\r\n\r\n"].concat()).await;
    client.rest().await;
    let posted = endpoint.posted().await;
    assert!(posted.head.starts_with("post /v1/traces http/1.1"), "{}", posted.head);
    assert!(posted.head.contains("content-type: application/x-protobuf"), "{}", posted.head);
    let resource = posted.resource();
    assert_eq!(resource["service.name"], "streamgauge");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    let span = &posted.spans()[0];
    let after = nanos(SystemTime::now());
    assert_eq!((span.name.as_str(), span.kind()), ("chat M:latest", SpanKind::Server));
    assert!(before <= span.start_time_unix_nano && span.end_time_unix_nano <= after, "{span:?}");
    assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Unset);
    assert_eq!(told(span), STREAM_TOLD);
    // Its time is Ollama's own, and these durations are made up.
    let mut seen = names(&span.events);
    seen.retain(|name| *name != "prompt_evaluated");
    assert_eq!(
        seen,
        ["admitted", "queued", "dispatched", "sent", "first_record", "first_token", "last_token"]
    );
    let times: Vec<_> = span.events.iter().map(|event| event.time_unix_nano).collect();
    assert!(times.is_sorted() && times[0] >= span.start_time_unix_nano, "{times:?}");
    let dispatched = span.events.iter().find(|event| event.name.ends_with("dispatched")).unwrap();
    let dispatched = shown(&dispatched.attributes);
    assert_eq!((&*dispatched["streamgauge.upstream"], &*dispatched["streamgauge.reason"]), ("gpu0", "only"));
    assert!(!format!("{span:?}").contains("secret"));
}

#[tokio::test]
async fn request_without_a_body_is_sent_after_its_upstream_was_chosen() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = traced(&upstream, &endpoint);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    let sidecar = sidecar(config).await;
    for (request, phases) in [
        ("GET /api/me HTTP/1.1\r\nHost: a\r\n", &["admitted", "dispatched", "sent"][..]),
        (
            "POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n",
            &["admitted", "queued", "dispatched", "sent"],
        ),
    ] {
        let client = sidecar.send(&format!("{request}Connection: close\r\n\r\n")).await;
        let mut asked = upstream.asked().await;
        asked.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        client.rest().await;
        assert_eq!(names(&endpoint.span().await.events), phases, "{request}");
    }
}

#[tokio::test]
async fn span_names_the_caller_and_has_no_key() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = traced(&upstream, &endpoint);
    config.admission.keys = vec![Key {
        name: "ada".to_owned(),
        digest: Digest::of(b"sesame"),
        limits: Limits::default(),
        routes: Access::ALL,
        models: None,
        pace: None,
        on_failure: None,
    }];
    let sidecar = sidecar(config).await;
    generate(&sidecar, &mut upstream, "Authorization: Bearer sesame\r\n").await;
    let span = endpoint.span().await;
    assert_eq!(shown(&span.attributes)["streamgauge.caller"], "ada");
    assert!(!format!("{span:?}").contains("sesame"));
}

#[tokio::test]
async fn request_that_another_upstream_got_has_the_retry_as_event() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = config(([127, 0, 0, 1], 1).into());
    let second = UpstreamConfig::new("gpu1", format!("http://{}", upstream.addr).parse().unwrap());
    config.upstream.upstreams.push(second);
    config.upstream.choose = streamgauge::upstream::Policy::RoundRobin;
    // Neither is probed before the request.
    config.traces = Some(to(&format!("http://{}", endpoint.addr)));
    let sidecar = sidecar(config).await;
    generate(&sidecar, &mut upstream, "").await;
    let span = endpoint.span().await;
    assert_eq!(shown(&span.attributes)["streamgauge.upstream"], "gpu1");
    let retried = span.events.iter().find(|event| event.name == "streamgauge.retried").unwrap();
    let retried = shown(&retried.attributes);
    assert_eq!((&*retried["streamgauge.upstream"], &*retried["streamgauge.reason"]), ("gpu0", "unreachable"));
    assert_eq!(names(&span.events).iter().filter(|name| **name == "dispatched").count(), 2);
}

#[tokio::test]
async fn failure_of_the_upstream_is_an_error_and_that_of_the_client_is_none() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let sidecar = sidecar(traced(&upstream, &endpoint)).await;

    let client = sidecar.send(&post_once("/api/generate", "{\"model\":\"m\"}")).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    drop(asked);
    client.rest().await;
    let span = endpoint.span().await;
    let status = span.status.clone().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "the connection broke during the response");
    assert_eq!(shown(&span.attributes)["error.type"], "upstream_error");
    assert_eq!(span.name, "text_completion m:latest");
    // The sidecar began the trace.
    let trace: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (_, requests) = sidecar.page("/requests").await;
    assert!(requests.contains(&format!("\"trace_id\":\"{trace}\"")), "{requests}");

    sidecar.exchange("GET /api/nothing HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n").await;
    let span = endpoint.span().await;
    assert_eq!(span.name, "GET");
    assert_eq!(span.status.clone().unwrap().code(), StatusCode::Unset);
    let told = shown(&span.attributes);
    assert_eq!((&*told["streamgauge.outcome"], &*told["http.response.status_code"]), ("client_error", "400"));
    assert_eq!(told["streamgauge.upstream"], "none");
    assert!(!told.contains_key("gen_ai.operation.name") && !told.contains_key("http.route"));
}

#[tokio::test]
async fn client_that_leaves_has_a_span_with_what_came() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let sidecar = sidecar(traced(&upstream, &endpoint)).await;
    let mut client = sidecar.send(&harness::generate()).await;
    let mut asked = upstream.asked().await;
    asked.body(13).await;
    asked.write(&[STREAM, &chunk(RECORD)].concat()).await;
    client.until(RECORD).await;
    drop(client);
    asked.is_left().await;
    let span = endpoint.span().await;
    assert_eq!(shown(&span.attributes)["streamgauge.outcome"], "client_abort");
    assert_eq!(span.status.clone().unwrap().code(), StatusCode::Unset);
    assert!(names(&span.events).contains(&"first_token"), "{:?}", span.events);
}

#[tokio::test]
async fn late_error_is_an_error_with_the_status_that_the_client_got() {
    let (mut upstream, mut endpoint) = (upstream().await, Receiver::start(Manner::Takes).await);
    let mut config = traced(&upstream, &endpoint);
    config.proxy.sse_keep_alive = Duration::from_millis(10);
    let sidecar = sidecar(config).await;
    let body = "{\"model\":\"m\",\"stream\":true}";
    let mut client = sidecar.send(&post_once("/v1/chat/completions", body)).await;
    let mut asked = upstream.asked().await;
    asked.body(body.len()).await;
    client.until(": keep-alive\n\n").await;
    asked.write("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n").await;
    client.rest().await;
    let span = endpoint.span().await;
    let status = span.status.clone().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    let reason =
        "upstream \"gpu0\" responded with 500 Internal Server Error after keep-alive lines were sent";
    assert_eq!(status.message, reason);
    let told = shown(&span.attributes);
    assert_eq!(
        [&*told["error.type"], &*told["http.response.status_code"], &*told["streamgauge.outcome"]],
        ["late_error", "200", "late_error"]
    );
}
