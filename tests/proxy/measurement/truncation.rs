//! A prompt that Ollama cut is suspected, flagged and logged.

use serde_json::{Value, json};

use crate::harness::*;

const CUT: &str = "prompt_truncation_suspected_total{model=\"m:latest\"}";

/// Asks for a context of 4096 tokens, and returns the exchange in which the upstream was asked.
async fn ask(upstream: &mut Upstream, sidecar: &Sidecar, prompt: &str) -> (Client, Asked) {
    let body = json!({"model": "m", "prompt": prompt, "options": {"num_ctx": 4096}}).to_string();
    let client = sidecar.send(&post_once("/api/generate", &body)).await;
    let mut asked = upstream.asked().await;
    asked.body(body.len()).await;
    (client, asked)
}

/// Answers, and closes the connection.
async fn answer(mut asked: Asked, tokens: u64) {
    let last =
        format!("{{\"response\":\"\",\"done\":true,\"prompt_eval_count\":{tokens},\"eval_count\":1}}\n");
    asked.write(&[STREAM, &chunk(RECORD), &chunk(&last), "0\r\n\r\n"].concat()).await;
}

async fn is_overlong(sidecar: &Sidecar) -> bool {
    let (status, text) = sidecar.page("/streams").await;
    assert_eq!(status, 200);
    let page: Value = serde_json::from_str(&text).unwrap();
    page["streams"][0]["overlong_prompt"].as_bool().unwrap()
}

#[tokio::test]
async fn prompt_that_was_cut_is_counted_and_flagged_while_it_runs() {
    let mut upstream = upstream().await;
    let sidecar = sidecar(config(upstream.addr)).await;
    let short = "A sentence of some words. ".repeat(500);
    let (client, asked) = ask(&mut upstream, &sidecar, &short).await;
    assert!(!is_overlong(&sidecar).await);
    answer(asked, 3_010).await;
    let _ = client.rest().await;
    sidecar.until(&ended("generate", "m:latest", "complete"), 1.0).await;
    assert_eq!(sidecar.value(CUT), 0.0);

    let (client, asked) = ask(&mut upstream, &sidecar, &short.repeat(3)).await;
    assert!(is_overlong(&sidecar).await);
    // What Ollama 0.34 leaves of a prompt of some 9,000 tokens.
    answer(asked, 2_051).await;
    let _ = client.rest().await;
    sidecar.until(CUT, 1.0).await;
    assert_eq!(sidecar.value("context_fill_ratio_count{model=\"m:latest\"}"), 2.0);
    let fill = sidecar.value("context_fill_ratio_sum{model=\"m:latest\"}");
    assert!((fill - f64::from(3_011 + 2_052) / 4_096.0).abs() < 1e-9, "{fill}");
}
