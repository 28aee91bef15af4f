//! Prompts that do not fit, and answers with a format.

use serde_json::{Value, json};
use streamgauge_simulate::{ChatPath, Config, OllamaVersion};

use super::harness::{Running, lines, quick, run};

/// 2,330 tokens, and one more with a role.
fn long(more: &Value) -> Value {
    let text = "x ".repeat(1747);
    let mut ask = json!({
        "model": "sim", "prompt": text, "messages": [{"role": "user", "content": text}], "stream": false,
        "options": {"num_ctx": 512},
    });
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

async fn ask(sim: &Running, path: &str, body: &Value) -> (u16, Value) {
    let response = sim.post(path, body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn prompt_over_context_is_cut_silently() {
    for (version, count) in
        [(OllamaVersion::V0_12, 512), (OllamaVersion::V0_33, 259), (OllamaVersion::V0_34, 259)]
    {
        let sim = run(Config { version, ..quick() });
        for path in ["/api/generate", "/api/chat"] {
            let (status, answer) = ask(&sim, path, &long(&json!({}))).await;
            assert_eq!((status, &answer["prompt_eval_count"]), (200, &json!(count)), "{version} {path}");
        }
        assert_eq!(sim.truth.prompt_tokens(), 2 * count, "{version}");
    }
}

#[tokio::test]
async fn native_chat_refuses_prompt_over_context_with_llama_server_json_as_text() {
    let sim = run(Config { chat: ChatPath::Native, ..quick() });
    let (status, answer) = ask(&sim, "/api/chat", &long(&json!({}))).await;
    assert_eq!(status, 400);
    let inner: Value = serde_json::from_str(answer["error"].as_str().unwrap()).unwrap();
    assert_eq!(inner["error"]["type"], "exceed_context_size_error");
    assert_eq!((&inner["error"]["n_prompt_tokens"], &inner["error"]["n_ctx"]), (&json!(2331), &json!(512)));
    assert_eq!((sim.truth.started(), sim.truth.cancelled()), (0, 0));
}

#[tokio::test]
async fn prompt_over_context_is_refused_if_request_forbids_truncate_and_shift() {
    for (more, old) in [(json!({"truncate": false}), 400), (json!({"shift": false}), 200)] {
        let sim = run(Config { version: OllamaVersion::V0_12, ..quick() });
        let (status, answer) = ask(&sim, "/api/generate", &long(&more)).await;
        assert_eq!(status, old, "{more}");
        if old == 200 {
            assert_eq!((&answer["eval_count"], &answer["eval_duration"]), (&json!(1), &json!(i64::MIN)));
        }
        let sim = run(quick());
        assert_eq!(ask(&sim, "/api/generate", &long(&more)).await.0, 400, "{more}");
    }
}

#[tokio::test]
async fn think_with_format_runs_twice_and_only_0_34_counts_both() {
    let body = json!({
        "model": "sim", "messages": [{"role": "user", "content": "x"}], "think": true, "format": "json",
    });
    for (version, count) in [(OllamaVersion::V0_12, 6), (OllamaVersion::V0_33, 6), (OllamaVersion::V0_34, 10)]
    {
        let sim = run(Config { version, ..quick() });
        let records = lines(&sim.text("/api/chat", &body).await);
        assert_eq!(records.len(), 2 + 1 + 6 + 1, "{version}: {records:?}");
        assert_eq!(records[2]["message"], json!({"role": "assistant", "content": ""}), "{version}");
        assert_eq!(records[9]["eval_count"], count, "{version}");
    }
    let native = run(Config { chat: ChatPath::Native, ..quick() });
    assert_eq!(lines(&native.text("/api/chat", &body).await).len(), 9);
}

#[tokio::test]
async fn format_that_is_invalid_is_a_server_error() {
    let sim = run(quick());
    let (status, _) =
        ask(&sim, "/api/generate", &json!({"model": "sim", "prompt": "x", "format": "xml"})).await;
    assert_eq!(status, 500);
}
