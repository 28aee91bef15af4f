//! Tool calls of a real Ollama: their silence is generation and not queue.

use serde_json::{Value, json};

use super::{
    answer::post,
    ollama::Ollama,
    sidecar::Sidecar,
    tool::{self, CALLER, ChatPath},
    version::{Version, on_every_ollama, on_llama_server},
};

const MODEL: &str = r#"model="tooled:latest""#;

fn chat() -> Value {
    json!({"model": CALLER, "messages": tool::question(), "tools": tool::tools()})
}

/// The records of one streamed call through a new sidecar, with the model in memory.
fn called(ollama: &Ollama, path: ChatPath) -> (Sidecar, Vec<Value>) {
    tool::create(ollama, path);
    post(&ollama.url, "/api/chat", &chat());
    let sidecar = Sidecar::start(ollama);
    let records = post(&sidecar.url, "/api/chat", &chat()).records();
    sidecar.until("requests_total", &[MODEL, r#"outcome="complete""#], 1.0);
    (sidecar, records)
}

/// Seconds.
fn duration(record: &Value, name: &str) -> f64 {
    record[name].as_u64().unwrap() as f64 / 1e9
}

fn call_is_decode_and_no_queue(ollama: &Ollama, path: ChatPath) {
    let (sidecar, records) = called(ollama, path);
    let has_call = |record: &&Value| record["message"]["tool_calls"].is_array();
    let last = records.last().unwrap();
    assert!(records.iter().any(|record| has_call(&record)), "{path:?}: {records:?}");
    assert_eq!(has_call(&last), path == ChatPath::Native, "{path:?}: {records:?}");
    let eval = duration(last, "eval_duration");
    let phase = |phase: &str| sidecar.sum("phase_seconds_sum", &[MODEL, &format!("phase=\"{phase}\"")]);
    let (queue, decode) = (phase("queue"), phase("decode"));
    let beside = duration(last, "total_duration")
        - duration(last, "load_duration")
        - duration(last, "prompt_eval_duration")
        - eval;
    println!(
        "{} {path:?}: queue {queue:.4} s, decode {decode:.4} s of eval {eval:.4} s, {last}",
        ollama.version
    );
    // Nothing waited. Before 0.30, the time that no duration covers is sampling.
    let bound = if ollama.version.runs_llama_server() { 0.05 } else { beside + 0.01 };
    assert!(queue <= bound, "{path:?}: {queue} s of queue, {eval} s of eval, {beside} s beside");
    assert!(decode >= 0.9 * eval, "{path:?}: {decode} s of decode, {eval} s of eval");
    for (kind, count) in [("tool_call", 1.0), ("terminal", 1.0)] {
        assert_eq!(
            sidecar.sum("records_total", &[MODEL, &format!("kind=\"{kind}\"")]),
            count,
            "{path:?} {kind}"
        );
    }
}

fn tool_call_is_decode_and_no_queue(version: Version) {
    let ollama = Ollama::start(version, 1);
    call_is_decode_and_no_queue(&ollama, ChatPath::GoTemplate);
    if version.runs_llama_server() {
        call_is_decode_and_no_queue(&ollama, ChatPath::Native);
    }
}

mod other_dialects {
    use super::*;

    fn tool_call_of_each_dialect_is_counted_once(version: Version) {
        let ollama = Ollama::start(version, 1);
        for path in [ChatPath::GoTemplate, ChatPath::Native] {
            tool::create(&ollama, path);
            let sidecar = Sidecar::start(&ollama);
            let chat = json!({
                "model": CALLER, "messages": tool::question(), "tools": tool::tools(), "stream": true,
                "temperature": 0, "max_tokens": 60,
            });
            let mut message = chat.clone();
            message["tools"] = tool::anthropic_tools();
            let response = json!({
                "model": CALLER, "input": tool::question(), "stream": true, "temperature": 0, "max_output_tokens": 60,
                "tools": [{"type": "function", "name": "get_weather", "parameters": tool::tools()[0]["function"]["parameters"]}],
            });
            for (count, (path_of, body, mark)) in [
                ("/v1/messages", message, "tool_use"),
                ("/v1/chat/completions", chat, "tool_calls"),
                ("/v1/responses", response, "function_call"),
            ]
            .into_iter()
            .enumerate()
            {
                let text = post(&sidecar.url, path_of, &body).text();
                assert!(text.contains(mark), "{path:?} {path_of}: {text}");
                let count = (count + 1) as f64;
                sidecar.until("requests_total", &[MODEL, r#"outcome="complete""#], count);
                let counted = sidecar.sum("records_total", &[MODEL, r#"kind="tool_call""#]);
                assert_eq!(counted, count, "{path:?} {path_of}: {text}");
            }
        }
    }

    on_llama_server! { tool_call_of_each_dialect_is_counted_once }
}

on_every_ollama! { tool_call_is_decode_and_no_queue }
