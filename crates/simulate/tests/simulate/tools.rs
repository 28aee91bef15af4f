//! Tool calls: the records in which each path sends them, and the silence before.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use streamgauge_simulate::{ChatPath, Config, OllamaVersion};
use tokio::time::Instant;

use super::harness::{Running, events, lines, quick, run, tools};

fn native() -> Config {
    Config { chat: ChatPath::Native, ..quick() }
}

fn chat() -> Value {
    json!({"model": "sim", "messages": [{"role": "user", "content": "x"}], "tools": tools(), "max_tokens": 100})
}

fn streamed() -> Value {
    let mut ask = chat();
    ask["stream"] = true.into();
    ask["stream_options"] = json!({"include_usage": true});
    ask
}

async fn chunks(sim: &Running, path: &str, ask: &Value) -> Vec<String> {
    let response = sim.post(path, ask).send().await.unwrap();
    response.bytes_stream().map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap()).collect().await
}

#[tokio::test]
async fn native_tool_call_alone_is_only_the_last_record() {
    let sim = run(native());
    let records = lines(&sim.text("/api/chat", &chat()).await);
    assert_eq!(records.len(), 1, "{records:?}");
    let (done, call) = (&records[0], &records[0]["message"]["tool_calls"][0]);
    assert_eq!(
        (&done["done"], &done["done_reason"], &done["eval_count"]),
        (&json!(true), &json!("stop"), &json!(8))
    );
    assert_eq!((&call["function"]["name"], &call["function"]["index"]), (&json!("look"), &json!(0)));
    let id = call["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(sim.truth.output_tokens(), 8);
}

#[tokio::test]
async fn native_tool_calls_after_text_are_all_in_the_last_record() {
    let sim = run(Config { tool_calls: 2, tool_text: 3, ..native() });
    let records = lines(&sim.text("/api/chat", &chat()).await);
    assert_eq!(records.len(), 4, "{records:?}");
    assert!(records[..3].iter().all(|record| record["message"]["content"] != "" && record["done"] == false));
    let calls = records[3]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(
        calls.iter().map(|call| &call["function"]["index"]).collect::<Vec<_>>(),
        [&json!(0), &json!(1)]
    );
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    let mut whole = chat();
    whole["stream"] = false.into();
    let whole: Value = sim.post("/api/chat", &whole).send().await.unwrap().json().await.unwrap();
    assert_eq!(whole["message"]["tool_calls"], records[3]["message"]["tool_calls"]);
}

#[tokio::test]
async fn go_template_tool_call_is_a_record_between_thinking_and_the_last() {
    for version in OllamaVersion::ALL {
        let sim = run(Config { version, tool_calls: 2, ..quick() });
        let mut ask = chat();
        ask["think"] = true.into();
        let records = lines(&sim.text("/api/chat", &ask).await);
        assert_eq!(records.len(), 2 + 2 + 1, "{version}: {records:?}");
        assert!(records[..2].iter().all(|record| record["message"]["thinking"].is_string()));
        for (place, record) in records[2..4].iter().enumerate() {
            let call = &record["message"]["tool_calls"][0];
            assert_eq!(
                (&record["done"], &call["function"]["index"]),
                (&json!(false), &json!(place)),
                "{version}"
            );
            assert!(call["id"].as_str().unwrap().starts_with("call_"), "{version}");
        }
        assert_eq!(records[4]["message"], json!({"role": "assistant", "content": ""}), "{version}");
        assert_eq!(records[4]["eval_count"], 8, "{version}");
    }
}

#[tokio::test]
async fn native_path_is_absent_in_0_12() {
    let sim = run(Config { version: OllamaVersion::V0_12, ..native() });
    assert_eq!(lines(&sim.text("/api/chat", &chat()).await).len(), 2);
}

#[tokio::test]
async fn response_head_waits_for_tool_call() {
    for chat_path in [ChatPath::GoTemplate, ChatPath::Native] {
        let sim = run(Config { rate: 100.0, jitter: 0.0, chat: chat_path, ..quick() });
        let asked = Instant::now();
        let response = sim.post("/api/chat", &chat()).send().await.unwrap();
        assert!(asked.elapsed() >= Duration::from_millis(70), "{chat_path}: eight tokens are silent");
        let last = lines(&response.text().await.unwrap()).pop().unwrap();
        assert!(last["eval_duration"].as_u64().unwrap() >= 69_000_000, "{last}");
    }
}

#[tokio::test]
async fn native_tool_call_on_openai_chat_is_one_chunk_before_the_end() {
    let sim = run(native());
    let chunks = chunks(&sim, "/v1/chat/completions", &streamed()).await;
    assert_eq!(chunks.len(), 1, "{chunks:?}");
    let events = events(&chunks[0]);
    let delta = &events[0].1["choices"][0]["delta"];
    assert_eq!((&delta["role"], &delta["content"]), (&json!("assistant"), &json!("")));
    let call = &delta["tool_calls"][0];
    assert!(serde_json::from_str::<Value>(call["function"]["arguments"].as_str().unwrap()).is_ok());
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("look")));
    assert_eq!(events[1].1["choices"][0], json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}));
    assert_eq!((&events[2].1["usage"]["completion_tokens"], &events[3].1), (&json!(8), &json!("[DONE]")));
}

#[tokio::test]
async fn go_template_tool_call_on_openai_chat_is_a_delta() {
    let sim = run(quick());
    let chunks = chunks(&sim, "/v1/chat/completions", &streamed()).await;
    assert_eq!(chunks.len(), 2, "{chunks:?}");
    assert_eq!(events(&chunks[0])[0].1["choices"][0]["delta"]["tool_calls"][0]["function"]["name"], "look");
    assert_eq!(events(&chunks[1]).len(), 3);
}

#[tokio::test]
async fn native_tool_call_on_messages_has_usual_events_and_true_usage_at_start() {
    let sim = run(Config { tool_calls: 2, ..native() });
    let events = events(&sim.text("/v1/messages", &streamed()).await);
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    let block = ["content_block_start", "content_block_delta", "content_block_stop"];
    assert_eq!(names, [&["message_start"][..], &block, &block, &["message_delta", "message_stop"]].concat());
    let start = &events[0].1["message"]["usage"];
    assert_eq!(start, &json!({"input_tokens": 3, "cache_read_input_tokens": 0, "output_tokens": 0}));
    assert_eq!((&events[1].1["index"], &events[4].1["index"]), (&json!(0), &json!(1)));
    assert_eq!(events[1].1["content_block"]["input"], json!({}));
    assert_eq!(events[7].1["delta"]["stop_reason"], "tool_use");
}

#[tokio::test]
async fn tool_calls_on_responses_are_separate_items() {
    let ask = json!({"model": "sim", "input": "x", "stream": true, "tools": tools()});
    for chat in [ChatPath::GoTemplate, ChatPath::Native] {
        let sim = run(Config { chat, tool_text: 2, ..quick() });
        let events = events(&sim.text("/v1/responses", &ask).await);
        let deltas = |kind: &str| events.iter().filter(|(name, _)| name == kind).count();
        assert_eq!(
            (deltas("response.output_text.delta"), deltas("response.output_text.done")),
            (2, 0),
            "{chat}"
        );
        assert_eq!(deltas("response.function_call_arguments.delta"), 1, "{chat}");
        let (name, last) = events.last().unwrap();
        assert_eq!(name, "response.completed");
        let kinds: Vec<_> =
            last["response"]["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["function_call", "message"], "{chat}");
        assert_eq!(last["response"]["tools"][0]["name"], "look");
    }
}

#[tokio::test]
async fn token_limit_within_tool_call_leaves_its_text() {
    let sim = run(quick());
    let mut ask = chat();
    ask["options"] = json!({"num_predict": 3});
    let records = lines(&sim.text("/api/chat", &ask).await);
    assert_eq!((records.len(), &records[0]["done_reason"]), (1, &json!("length")), "{records:?}");
    assert!(records[0]["message"]["content"].as_str().unwrap().starts_with(r#"{"name":"look""#));
    let mut ask = streamed();
    ask["max_tokens"] = 3.into();
    let events = events(&sim.text("/v1/messages", &ask).await);
    assert_eq!(events[2].1["delta"]["type"], "text_delta");
    assert_eq!(events[4].1["delta"]["stop_reason"], "max_tokens");
}

#[tokio::test]
async fn tools_are_ignored_by_generate() {
    let sim = run(native());
    let ask = json!({"model": "sim", "prompt": "x", "think": true, "tools": tools()});
    let records = lines(&sim.text("/api/generate", &ask).await);
    assert_eq!(records.len(), 9);
    assert!(records[0]["thinking"].is_string() && records[0]["response"] == "");
    assert!(records.iter().all(|record| record["tool_calls"].is_null()));
}

#[tokio::test]
async fn error_before_tool_call_is_a_status() {
    let sim = run(native());
    let response = sim.post("/api/chat", &chat()).header("x-simulate-fault", "error").send().await.unwrap();
    assert_eq!(response.status(), 500);
    assert!(response.json::<Value>().await.unwrap()["error"].is_string());
    let request = sim.post("/api/chat", &chat()).header("x-simulate-fault", "reset").send().await;
    assert!(request.is_err(), "no head came");
    assert_eq!((sim.truth.ended(), sim.truth.cancelled()), (0, 0));
}

#[tokio::test]
async fn header_sets_chat_path_of_one_request() {
    let sim = run(quick());
    let ask = chat();
    let records = async |path: &str| {
        let response = sim.post("/api/chat", &ask).header("x-simulate-chat", path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap().lines().count())
    };
    assert_eq!(records("native").await, (200, 1));
    assert_eq!(records("go-template").await, (200, 2));
    assert_eq!(records("jinja").await.0, 400);
}
