//! Requests that Ollama passes on to its cloud take no slot, affect no speed, and count for the caller's limits.

use std::{num::NonZeroU32, time::Duration};

use streamgauge::{
    admission::Quota,
    sidecar::{self, BindError},
    upstream::UpstreamError,
};

use crate::harness::*;

const NAME: &str = "{\"model\":\"Gpt-oss:120b:cloud\"}";
const LABEL: &str = "Gpt-oss:120b-cloud";
const FINAL: &str = "{\"response\":\"\",\"done\":true,\"prompt_eval_count\":7,\"eval_count\":40,\
                     \"total_duration\":9000000000,\"load_duration\":2000000000,\
                     \"prompt_eval_duration\":1000000000,\"eval_duration\":5000000000}\n";

/// The head of a streamed response, on a connection that no other request uses.
const ALONE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\
                     Transfer-Encoding: chunked\r\n\r\n";

fn at_cloud(route: &str, model: &str, outcome: &str) -> String {
    ended(route, model, outcome).replace("gpu0", "cloud")
}

/// A body that names a model, and its response.
fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The names of series, without values, that concern the cloud.
async fn series_of_cloud(sidecar: &Sidecar) -> Vec<String> {
    let (_, page) = sidecar.page("/metrics").await;
    let speaks = |line: &&str| !line.starts_with('#') && line.contains("cloud\"");
    let mut names: Vec<_> =
        page.lines().filter(speaks).map(|line| line.split('{').next().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn cloud_request_takes_no_slot_and_changes_no_figure_of_the_machine() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.upstream.upstreams[0].max_streams = Some(StreamLimit::Fixed(1));
    config.queue.size = 0;
    let sidecar = sidecar(config).await;
    let _local = sidecar.send(&generate()).await;
    let mut held = upstream.asked().await;
    held.body(13).await;
    let client = sidecar.send(&post_once("/api/generate", NAME)).await;
    let mut asked = upstream.asked().await;
    assert_eq!(asked.body(NAME.len()).await, NAME, "it goes on as it came");
    sidecar.until("requests_in_flight{upstream=\"cloud\",route=\"generate\"}", 1.0).await;
    asked.write(&[ALONE, &chunk(&RECORD.repeat(20))].concat()).await;
    asked.write(&[&chunk(&[&RECORD.repeat(20), FINAL].concat()), "0\r\n\r\n"].concat()).await;
    assert!(client.rest().await.ends_with("0\r\n\r\n"));
    sidecar.until(&at_cloud("generate", LABEL, "complete"), 1.0).await;
    sidecar.until("requests_in_flight{upstream=\"cloud\",route=\"generate\"}", 0.0).await;
    assert_eq!(sidecar.value("requests_in_flight{upstream=\"gpu0\",route=\"generate\"}"), 1.0);
    for (series, value) in [
        ("tokens_total{model=\"Gpt-oss:120b-cloud\",kind=\"output\"}", 40.0),
        ("records_total{model=\"Gpt-oss:120b-cloud\",kind=\"content\"}", 40.0),
        ("caller_tokens_total{caller=\"anonymous\",kind=\"output\"}", 40.0),
        ("output_tokens_per_second_count{model=\"Gpt-oss:120b-cloud\",by=\"ollama\"}", 1.0),
        ("concurrency_tokens_total{upstream=\"gpu0\",model=\"Gpt-oss:120b-cloud\",streams=\"1\"}", 0.0),
        ("concurrency_seconds_total{upstream=\"gpu0\",streams=\"1\"}", 0.0),
    ] {
        assert_eq!(sidecar.value(series), value, "{series}");
    }
    let none = [
        "stream_seconds",
        "busy_seconds",
        "concurrency",
        "phase_seconds",
        "model_loads",
        "silent",
        "waiting",
    ];
    for name in series_of_cloud(&sidecar).await {
        assert!(!none.iter().any(|none| name.contains(none)), "{name}");
    }
    let (_, page) = sidecar.page("/metrics").await;
    let by_stream = |line: &&str| line.contains("by=\"stream\"") && line.contains("cloud");
    assert_eq!(page.lines().find(by_stream), None, "its records come several to a chunk");
}

#[tokio::test]
async fn cloud_request_obeys_limits_of_its_caller() {
    let mut upstream = upstream().await;
    let mut config = config(upstream.addr);
    config.admission.anonymous.max_streams = Some(1);
    config.admission.anonymous.requests =
        Some(Quota::new(NonZeroU32::new(2).unwrap(), Duration::from_secs(600)));
    let sidecar = sidecar(config).await;
    let first = sidecar.send(&post_once("/api/generate", NAME)).await;
    let mut asked = upstream.asked().await;
    asked.body(NAME.len()).await;
    let second = sidecar.send(&post_once("/api/generate", NAME)).await;
    sidecar.until("queue_depth{priority=\"normal\"}", 1.0).await;
    upstream.was_not_asked();
    let third = sidecar.exchange(&post_once("/api/generate", NAME)).await;
    assert!(third.starts_with("HTTP/1.1 429 "), "{third}");
    asked.write(&[ALONE, &chunk(FINAL), "0\r\n\r\n"].concat()).await;
    assert!(first.rest().await.ends_with("0\r\n\r\n"));
    drop(asked);
    let mut asked = upstream.asked().await;
    asked.body(NAME.len()).await;
    asked.write(&[ALONE, &chunk(FINAL), "0\r\n\r\n"].concat()).await;
    assert!(second.rest().await.ends_with("0\r\n\r\n"));
    sidecar.until("queue_depth{priority=\"normal\"}", 0.0).await;
    sidecar.until("queue_wait_seconds_count{priority=\"normal\"}", 2.0).await;
}

#[tokio::test]
async fn cloud_and_client_errors_are_no_errors_of_the_upstream() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let cloud = |route: &str, outcome: &str| at_cloud(route, "other:cloud", outcome);
    let account = |route: &str, outcome: &str| at_cloud(route, "none", outcome);
    for (path, body, status, series) in [
        ("/api/chat", NAME, "502 Bad Gateway", cloud("chat", "upstream_error")),
        ("/v1/chat/completions", NAME, "502 Bad Gateway", cloud("openai_chat", "upstream_error")),
        ("/api/show", NAME, "502 Bad Gateway", cloud("show", "upstream_error")),
        ("/api/generate", NAME, "403 Forbidden", cloud("generate", "client_error")),
        ("/api/me", "", "503 Service Unavailable", account("me", "upstream_error")),
        ("/api/signout", "", "503 Service Unavailable", account("signout", "upstream_error")),
        ("/api/experimental/web_search", "{}", "502 Bad Gateway", account("experimental", "upstream_error")),
        ("/api/embed", "{\"model\":\"m\"}", "501 Not Implemented", ended("embed", "other", "client_error")),
        (
            "/v1/embeddings",
            "{\"model\":\"m\"}",
            "501 Not Implemented",
            ended("openai_embeddings", "other", "client_error"),
        ),
    ] {
        let client = sidecar.send(&post_once(path, body)).await;
        let mut asked = upstream.asked().await;
        asked.body(body.len()).await;
        asked.write(&answer(status, "{\"error\":\"e\"}")).await;
        assert!(client.rest().await.starts_with(&format!("HTTP/1.1 {status}")), "{path}");
        sidecar.until(&series, 1.0).await;
    }
    let (_, page) = sidecar.page("/metrics").await;
    let of_upstream = page.lines().filter(|line| {
        line.contains("upstream=\"gpu0\"")
            && line.contains("outcome=\"upstream_error\"")
            && !line.ends_with(" 0")
    });
    assert_eq!(of_upstream.count(), 0, "{page}");
}

#[tokio::test]
async fn cloud_request_to_dead_ollama_is_failure_of_the_upstream() {
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sidecar = sidecar(config(dead)).await;
    let seen = sidecar.exchange(&post_once("/api/chat", NAME)).await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
    sidecar.until(&ended("chat", "other", "upstream_error"), 1.0).await;
}

#[tokio::test]
async fn model_with_local_suffix_is_labelled_without_it() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    for (seen, name) in [(1.0, "gemma3:270m:local"), (2.0, "GEMMA3:270M"), (3.0, "library/gemma3:270m:LOCAL")]
    {
        let body = format!("{{\"model\":\"{name}\"}}");
        let client = sidecar.send(&post_once("/api/generate", &body)).await;
        let mut asked = upstream.asked().await;
        asked.body(body.len()).await;
        asked.write(&[ALONE, &chunk(LAST), "0\r\n\r\n"].concat()).await;
        drop(client.rest().await);
        sidecar.until(&ended("generate", "gemma3:270m", "complete"), seen).await;
    }
}

#[tokio::test]
async fn model_list_overrides_name_for_cloud_detection() {
    let mut upstream = listing(
        "{\"models\":[{\"name\":\"mine:v1-cloud\",\"model\":\"mine:v1-cloud\"},\
         {\"name\":\"far:latest\",\"model\":\"far:latest\",\"remote_host\":\"https://ollama.com:443\"}]}",
    )
    .await;
    let sidecar = sidecar(config(upstream.addr)).await;
    sidecar.until("upstream_up{upstream=\"gpu0\"}", 1.0).await;
    for (name, series) in [
        ("mine:v1-cloud", ended("generate", "mine:v1-cloud", "complete")),
        ("far", at_cloud("generate", "far:latest-cloud", "complete")),
    ] {
        let body = format!("{{\"model\":\"{name}\"}}");
        let client = sidecar.send(&post_once("/api/generate", &body)).await;
        let mut asked = upstream.asked().await;
        asked.body(body.len()).await;
        asked.write(&[ALONE, &chunk(LAST), "0\r\n\r\n"].concat()).await;
        drop(client.rest().await);
        sidecar.until(&series, 1.0).await;
    }
}

#[tokio::test]
async fn upstream_with_reserved_name_is_refused() {
    for name in ["cloud", "none"] {
        let mut config = config(([127, 0, 0, 1], 1).into());
        config.upstream.upstreams[0].name = name.to_owned();
        let refused = sidecar::Sidecar::builder().config(config).bind().await.unwrap_err();
        assert!(
            matches!(refused, BindError::Upstream(UpstreamError::Reserved(reserved)) if reserved == name)
        );
    }
}
