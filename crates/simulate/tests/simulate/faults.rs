//! Each fault, as a client sees it.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use streamgauge_simulate::{Config, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::harness::{Running, lines, quick, run};

async fn strike(sim: &Running, path: &str, fault: &str) -> reqwest::Response {
    let ask = json!({"model": "sim", "prompt": "x", "messages": [{"role": "user", "content": "x"}], "stream": true, "max_tokens": 9});
    sim.post(path, &ask).header("x-simulate-fault", fault).send().await.unwrap()
}

async fn chunks(response: reqwest::Response) -> Vec<String> {
    response.bytes_stream().map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap()).collect().await
}

#[tokio::test]
async fn fault_split_still_makes_whole_lines() {
    let sim = run(quick());
    let chunks = chunks(strike(&sim, "/api/generate", "split").await).await;
    assert!(chunks.iter().any(|chunk| !chunk.ends_with('\n')), "{chunks:?}");
    assert_eq!(lines(&chunks.concat()).len(), 9);
    assert_eq!(sim.truth.faults(Fault::Split), 8);
}

#[tokio::test]
async fn fault_batch_sends_records_in_one_chunk() {
    let sim = run(Config { rate: 200.0, ..quick() });
    let chunks = chunks(strike(&sim, "/api/generate", "batch").await).await;
    assert_eq!((chunks.len(), lines(&chunks[0]).len()), (1, 9));
    assert_eq!(sim.truth.faults(Fault::Batch), 8);
}

#[tokio::test]
async fn fault_stall_pauses_once() {
    let sim = run(quick());
    let asked = Instant::now();
    let body = strike(&sim, "/api/generate", "stall:70ms").await.text().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(70));
    assert_eq!((lines(&body).len(), sim.truth.faults(Fault::Stall)), (9, 1));
}

#[tokio::test]
async fn fault_reset_never_looks_complete() {
    let sim = run(quick());
    let response = strike(&sim, "/api/generate", "reset").await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
    assert_eq!(sim.truth.faults(Fault::Reset), 1);
    sim.truth.until(|truth| truth.decoding() == 0).await;
    assert_eq!((sim.truth.ended(), sim.truth.cancelled()), (0, 0));

    let mut raw = TcpStream::connect(sim.addr).await.unwrap();
    let body = r#"{"model":"sim","prompt":"x"}"#;
    let head =
        "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nX-Simulate-Fault: reset\r\nContent-Length: ";
    raw.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let error = raw.read_to_end(&mut seen).await.unwrap_err();
    assert!(String::from_utf8(seen).unwrap().contains(r#""done":false"#), "the stream had begun");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn fault_truncate_ends_stream_cleanly_and_short() {
    let sim = run(quick());
    let records = lines(&strike(&sim, "/api/generate", "truncate").await.text().await.unwrap());
    assert!((1..8).contains(&records.len()));
    assert!(records.iter().all(|record| record["done"] == false));
    assert_eq!((sim.truth.faults(Fault::Truncate), sim.truth.ended()), (1, 0));
}

#[tokio::test]
async fn fault_error_in_stream_has_format_of_dialect() {
    let sim = run(quick());
    let records = lines(&strike(&sim, "/api/chat", "error").await.text().await.unwrap());
    assert!(records.last().unwrap()["error"].is_string());
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"] {
        let body = strike(&sim, path, "error").await.text().await.unwrap();
        assert!(body.starts_with("data: ") || body.starts_with("event: "), "{body}");
        assert!(
            !["[DONE]", "response.completed", "message_stop"].iter().any(|end| body.contains(end)),
            "{body}"
        );
    }
    let ask = json!({"model": "sim", "prompt": "x", "stream": false});
    let whole = sim.post("/api/generate", &ask).header("x-simulate-fault", "error").send().await.unwrap();
    assert_eq!(whole.status(), 500);
    assert_eq!(sim.truth.faults(Fault::Error), 6);
}

#[tokio::test]
async fn fault_refuse_is_a_full_queue_in_each_dialect() {
    let sim = run(quick());
    for (path, pointer) in [
        ("/api/chat", "/error"),
        ("/v1/chat/completions", "/error/message"),
        ("/v1/messages", "/error/message"),
    ] {
        let response = strike(&sim, path, "refuse").await;
        assert_eq!(response.status(), 503);
        let error: Value = response.json().await.unwrap();
        assert!(error.pointer(pointer).unwrap().as_str().unwrap().starts_with("server busy"), "{error}");
    }
    assert_eq!(sim.truth.faults(Fault::Refuse), 3);
}

#[tokio::test]
async fn fault_slow_head_keeps_client_waiting() {
    let sim = run(quick());
    let asked = Instant::now();
    let response = strike(&sim, "/api/generate", "slow-head:70ms").await;
    assert!(asked.elapsed() >= Duration::from_millis(70));
    assert_eq!(lines(&response.text().await.unwrap()).len(), 9);
    assert_eq!(sim.truth.faults(Fault::SlowHead), 1);
}

#[tokio::test]
async fn fault_garbage_is_sent_between_records() {
    let sim = run(quick());
    let body = strike(&sim, "/api/generate", "garbage").await.text().await.unwrap();
    let good = body.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    assert_eq!((good, body.lines().count() - good, sim.truth.faults(Fault::Garbage)), (9, 8, 8));
}

#[tokio::test]
async fn fault_that_is_unknown_is_refused_by_name() {
    let sim = run(quick());
    let response = strike(&sim, "/api/generate", "explode").await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("`explode`: no fault has this name"));
}

#[tokio::test]
async fn fault_with_same_seed_affects_the_same_streams() {
    let mut struck = Vec::new();
    for _ in 0..2 {
        let sim = run(Config { faults: "refuse=0.3,error=0.3".parse().unwrap(), ..quick() });
        let mut outcomes = Vec::new();
        for _ in 0..20 {
            let response =
                sim.post("/api/generate", &json!({"model": "sim", "prompt": "x"})).send().await.unwrap();
            outcomes.push((response.status().as_u16(), response.text().await.unwrap().contains("error")));
        }
        struck.push(outcomes);
    }
    assert_eq!(struck[0], struck[1]);
    let refused = struck[0].iter().filter(|(status, _)| *status == 503).count();
    assert!((1..20).contains(&refused));
}
