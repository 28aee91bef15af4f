//! Routes that came after Ollama 0.12: slots, limits, models and access lists.

use std::{num::NonZeroU32, time::Duration};

use streamgauge::{
    admission::{Access, Quota},
    proxy::UnknownV1,
};

use crate::harness::*;

const JSON: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";

fn answer(body: &str) -> String {
    format!("{JSON}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A form with a file before the model, as `curl -F` writes it.
fn form(file: &str, model: &str) -> String {
    format!(
        "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\n{file}\r\n\
         --XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--XyZ--\r\n"
    )
}

fn post_form(target: &str, form: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=XyZ\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

#[tokio::test]
async fn transcription_is_measured_under_the_model_of_its_form() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let form = form(&"RIFF\r\n--XyYno\0".repeat(100_000), "whisper:1b");
    for (target, model, seen) in [
        ("/v1/audio/transcriptions", "whisper:1b", 1.0),
        // Ollama reads the query before the form.
        ("/v1/audio/transcriptions?x=y&model=other%2Fwhisper", "other/whisper:latest", 1.0),
        ("/v1/audio/transcriptions", "whisper:1b", 2.0),
    ] {
        let client = sidecar.send(&post_form(target, &form)).await;
        let mut asked = upstream.asked().await;
        assert_eq!(asked.body(form.len()).await, form, "the form goes on as it came");
        asked.write(&answer("{\"text\":\"Hello\"}\n")).await;
        assert!(client.rest().await.ends_with("{\"text\":\"Hello\"}\n"));
        sidecar.until(&ended("openai_transcriptions", model, "complete"), seen).await;
        let duration =
            format!("request_duration_seconds_count{{route=\"openai_transcriptions\",model=\"{model}\"}}");
        assert_eq!(sidecar.value(&duration), seen);
    }
    // A transcription reports no token counts.
    assert_eq!(sidecar.value("usage_missing_total{route=\"openai_transcriptions\"}"), 3.0);

    let client = sidecar.send(&post_form("/v1/audio/transcriptions", &form)).await;
    let mut asked = upstream.asked().await;
    asked.body(form.len()).await;
    asked.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 5\r\n\r\nHello").await;
    assert!(client.rest().await.ends_with("Hello"));
    sidecar.until(&ended("openai_transcriptions", "whisper:1b", "complete"), 3.0).await;
}

#[tokio::test]
async fn generating_request_takes_slot_on_each_new_route() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    let sidecar = sidecar(config).await;
    for (path, route) in [
        ("/v1/audio/transcriptions", "openai_transcriptions"),
        ("/v1/responses/compact", "openai_responses_compact"),
        ("/v1/images/generations", "openai_images_generations"),
        ("/v1/images/edits", "openai_images_edits"),
        ("/v1/rerank", "v1_other"),
        ("/v1/messages/count_tokens", "v1_other"),
        ("/api/codex/v1/responses", "v1_other"),
    ] {
        let first = sidecar.send(&post_once(path, "{\"model\":\"m\"}")).await;
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        let second = sidecar.send(&post_once(path, "{\"model\":\"m\"}")).await;
        sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
        upstream.was_not_asked();
        let before = sidecar.value(&ended(route, "m:latest", "complete"));
        asked.write(&answer("{}")).await;
        assert!(first.rest().await.ends_with("{}"), "{path}");
        let mut asked = upstream.asked().await;
        asked.body(13).await;
        asked.write(&answer("{}")).await;
        assert!(second.rest().await.ends_with("{}"), "{path}");
        sidecar.until(&ended(route, "m:latest", "complete"), before + 2.0).await;
    }
}

#[tokio::test]
async fn unknown_post_under_v1_takes_no_slot_if_configured() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.proxy.unknown_v1 = UnknownV1::Other;
    let sidecar = sidecar(config).await;
    let _first = sidecar.send(&generate()).await;
    let _held = upstream.asked().await;
    let client = sidecar.send(&post_once("/v1/rerank", "{\"model\":\"m\"}")).await;
    upstream.asked().await.write(&answer("{}")).await;
    assert!(client.rest().await.ends_with("{}"));
    sidecar.until(&ended("other", "none", "complete"), 1.0).await;
}

#[tokio::test]
async fn unknown_post_under_v1_obeys_token_limit_unless_configured_otherwise() {
    for (unknown, status) in [(UnknownV1::Generation, "429"), (UnknownV1::Other, "200")] {
        let mut upstream = upstream().await;
        let mut config = config(upstream.addr);
        config.admission.anonymous.tokens =
            Some(Quota::new(NonZeroU32::new(10).unwrap(), Duration::from_secs(3600)));
        config.proxy.unknown_v1 = unknown;
        let sidecar = sidecar(config).await;
        let request = post_once("/v1/rerank", "{\"model\":\"m\"}");
        let spent = answer(r#"{"usage":{"prompt_tokens":50,"completion_tokens":50,"total_tokens":100}}"#);

        let first = sidecar.send(&request).await;
        upstream.asked().await.write(&spent).await;
        assert!(first.rest().await.starts_with("HTTP/1.1 200 "));
        sidecar.until("caller_requests_total{caller=\"anonymous\",outcome=\"complete\"}", 1.0).await;

        let second = sidecar.send(&request).await;
        if status == "200" {
            upstream.asked().await.write(&answer("{}")).await;
        }
        let seen = second.rest().await;
        assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{unknown:?}: {seen}");
    }
}

#[tokio::test]
async fn access_list_opens_account_routes_only_by_name() {
    let account = [
        ("GET", "/api/status"),
        ("POST", "/api/me"),
        ("POST", "/api/signout"),
        ("DELETE", "/api/user/keys/c3NoLWVk"),
        ("POST", "/api/experimental/web_search"),
        ("GET", "/api/experimental/model-recommendations"),
    ];
    let ask = |method: &str, path: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.routes = Access::of(["openai", "anthropic", "manage", "chat"]).unwrap();
    let closed = sidecar(config.clone()).await;
    let unknown = ("POST", "/v1/rerank");
    for (method, path) in account.into_iter().chain([unknown]) {
        let seen = closed.exchange(&ask(method, path)).await;
        assert!(seen.starts_with("HTTP/1.1 403 "), "{method} {path}: {seen}");
    }
    upstream.was_not_asked();

    config.admission.routes = Access::of(["account", "v1_other"]).unwrap();
    let open = sidecar(config).await;
    for (method, path) in account.into_iter().chain([unknown]) {
        let client = open.send(&ask(method, path)).await;
        upstream.asked().await.write(&answer("{}")).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 200 "), "{method} {path}");
    }
    let seen = open.exchange(&post_once("/api/chat", "{}")).await;
    assert!(seen.starts_with("HTTP/1.1 403 "), "{seen}");
}

#[tokio::test]
async fn account_request_goes_to_primary_upstream() {
    let (mut first, mut second) = (upstream().await, upstream().await);
    let mut config = config(first.addr);
    let url = format!("http://{}", second.addr).parse().unwrap();
    config.upstream.upstreams.push(streamgauge::upstream::UpstreamConfig::new("gpu1", url));
    config.upstream.primary = Some("gpu1".to_owned());
    let sidecar = sidecar(config).await;
    for _ in 0..4 {
        let client = sidecar.send(&post_once("/api/me", "")).await;
        second.asked().await.write(&answer("{}")).await;
        assert!(client.rest().await.ends_with("{}"));
    }
    first.was_not_asked();
}
