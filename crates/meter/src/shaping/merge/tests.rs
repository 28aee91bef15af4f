//! Tests which records are merged, and which pass alone.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{
    Config, Stream,
    script::{CHAT, Script, content, hear, shaping, shows, terminal},
};
use crate::protocol::{Dialect, Framing, Route};

const OPENAI: Stream<'static> =
    Stream { route: Route::OpenaiChat, dialect: Dialect::OpenAi, framing: Some(Framing::Sse), ..CHAT };

fn merging() -> Config {
    Config { merge: true, ..Config::default() }
}

/// Returns the output for records that come together, after a first record that never waits.
async fn merged(stream: Stream<'_>, first: String, records: Vec<String>) -> Vec<u8> {
    let (shaping, _registry) = shaping(merging());
    let chunks = [first.clone().into_bytes(), records.concat().into_bytes()];
    let heard = hear(shaping.wrap(&stream, Script::every(Duration::from_millis(1), chunks))).await;
    let bytes = heard.bytes();
    assert_eq!(bytes[..first.len()], *first.as_bytes());
    bytes[first.len()..].to_vec()
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn chat(at: u32, message: Value) -> Value {
    let created_at = format!("2026-01-01T00:00:0{at}Z");
    json!({"model": "m", "created_at": created_at, "message": message, "done": false})
}

fn words(bytes: &[u8]) -> Vec<Value> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line.strip_prefix(b"data: ").unwrap_or(line)).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn merge_joins_held_content_into_one_record_with_the_last_time() {
    let part = |at, text| line(&chat(at, json!({"role": "assistant", "content": text})));
    let got = merged(CHAT, part(0, "a"), vec![part(1, "b\u{1F600}"), part(2, "\"c\n"), part(3, "d")]).await;
    let one = chat(3, json!({"role": "assistant", "content": "b\u{1F600}\"c\nd"}));
    assert_eq!(words(&got), [one]);
}

#[tokio::test(start_paused = true)]
async fn merge_keeps_thinking_and_answer_apart() {
    let thought = |at, text| chat(at, json!({"role": "assistant", "content": "", "thinking": text}));
    let answer = |at, text| chat(at, json!({"role": "assistant", "content": text}));
    let records = [thought(1, "b"), thought(2, "c"), answer(3, "d"), answer(4, "e")];
    let got = merged(CHAT, line(&thought(0, "a")), records.iter().map(line).collect()).await;
    assert_eq!(words(&got), [thought(2, "bc"), answer(4, "de")]);
}

#[tokio::test(start_paused = true)]
async fn merge_joins_logprobs_into_one_list() {
    let part = |text: &str, probs: Value| json!({"model": "m", "created_at": "x", "response": text, "done": false, "logprobs": probs});
    let (b, c) = (json!([{"token": "b", "logprob": -0.123_456_789_012_345_6}]), json!([{"token": "c"}]));
    let records = vec![line(&part("b", b.clone())), line(&part("c", c.clone()))];
    let stream = Stream { route: Route::Generate, ..CHAT };
    let got = merged(stream, line(&part("a", json!([]))), records).await;
    assert_eq!(words(&got), [part("bc", json!([b[0], c[0]]))]);
}

#[tokio::test(start_paused = true)]
async fn merge_keeps_every_character_of_numbers_and_escapes() {
    // A float cannot represent any of these as it is written.
    let numbers = ["-0.12345678901234567890", "-0.50", "1E-7", "-0.0", "18446744073709551616", "1e400"];
    let part = |text: &str, number: &str| {
        format!(
            "{{\"model\":\"m\",\"created_at\":\"x\",\"response\":\"{text}\",\"done\":false,\"logprobs\":[{{\"token\":\"\\u003c\",\
             \"logprob\":{number}}}]}}\n"
        )
    };
    let texts = ["\\u003c", "\\ud83d\\ude00", "\\\"", "\u{1F600}", "\\\\", "e"];
    let records = texts.iter().zip(numbers).map(|(text, number)| part(text, number)).collect();
    let stream = Stream { route: Route::Generate, ..CHAT };
    let got = String::from_utf8(merged(stream, part("a", "1"), records).await).unwrap();
    let logprobs = numbers.map(|number| format!("{{\"token\":\"\\u003c\",\"logprob\":{number}}}")).join(",");
    assert_eq!(
        got,
        format!(
            "{{\"model\":\"m\",\"created_at\":\"x\",\"response\":\"{}\",\"done\":false,\"logprobs\":[{logprobs}]}}\n",
            texts.concat()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn merge_joins_openai_events_and_passes_the_rest() {
    let part = |created: u32, delta: Value, finish: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "created": created, "model": "m",
            "system_fingerprint": "fp", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let delta = |text: &str| json!({"role": "assistant", "content": text});
    let records = vec![
        event(&part(1, delta("b"), Value::Null)),
        event(&part(2, delta("c"), Value::Null)),
        event(&part(2, delta(""), json!("stop"))),
        "data: [DONE]\n\n".to_owned(),
    ];
    let got = merged(OPENAI, event(&part(1, delta("a"), Value::Null)), records.clone()).await;
    let rest = records[2..].concat();
    assert!(got.ends_with(rest.as_bytes()));
    assert_eq!(words(&got[..got.len() - rest.len()]), [part(2, delta("bc"), Value::Null)]);
}

#[tokio::test(start_paused = true)]
async fn merge_passes_unknown_records_alone_and_unchanged() {
    let plain =
        r#"{"model":"m","message":{"role":"assistant","content":"p"},"done":false}"#.to_owned() + "\n";
    for odd in [
        r#"{"model":"m","message":{"role":"assistant","content":"x","audio":"y"},"done":false}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":false,"news":1}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f"}}]},"done":false}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"\ud83d"},"done":false}"#,
        r#"{"model":"n","message":{"role":"assistant","content":"x"},"done":false}"#,
        r#"{"model":"m","message":{"content":"x"},"done":false}"#,
        "not json",
        "",
    ] {
        let odd = format!("{odd}\n");
        let records = vec![plain.clone(), odd.clone(), odd.clone(), plain.clone()];
        let got = merged(CHAT, plain.clone(), records.clone()).await;
        if odd.contains("\"n\"") || odd.contains("{\"content\":\"x\"}") {
            // The record is understood, but can be merged only with one of its own kind.
            assert_eq!(words(&got).len(), 3, "{odd}");
        } else {
            assert_eq!(String::from_utf8(got).unwrap(), records.concat());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn merge_passes_named_event_alone() {
    let named = "event: x\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n".to_owned();
    let got = merged(OPENAI, named.clone(), vec![named.clone(), named.clone()]).await;
    assert_eq!(got, named.repeat(2).into_bytes());
}

#[tokio::test(start_paused = true)]
async fn merge_counts_records_in_and_out() {
    let (shaping, registry) = shaping(merging());
    let mut chunks: Vec<_> = (0..31).map(|_| content("a")).collect();
    chunks.push(terminal());
    let heard = hear(shaping.wrap(&CHAT, Script::every(Duration::from_millis(9), chunks))).await;
    let text: String =
        words(&heard.bytes()).iter().map(|word| word["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(text, "a".repeat(31));
    assert!(shows(&registry, "shaping_records_in_total 32"));
    assert!(shows(&registry, &format!("shaping_records_out_total {}", words(&heard.bytes()).len())));
    assert!(heard.frames.len() <= 8, "{heard:?}");
    assert!(shows(&registry, "shaping_buffer_bytes 0"));
}
