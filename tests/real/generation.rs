//! Generations and embeddings with curl: equal to the direct responses, and with exact token counts.

use serde_json::{Value, json};

use super::{
    answer::{Told, post},
    ollama::{EMBEDDER, MODEL, Ollama},
    sidecar::Sidecar,
    version::{Version, on_every_ollama},
};

/// Every way to request a generation or an embedding: path, label of the route, body.
fn questions(version: Version) -> Vec<(&'static str, &'static str, Value)> {
    let prompt = "Why is the sky blue?";
    let messages = json!([{"role": "user", "content": "Name three colours."}]);
    let usage = json!({"include_usage": true});
    let mut questions = vec![
        ("/api/generate", "generate", json!({"model": MODEL, "prompt": prompt})),
        ("/api/generate", "generate", json!({"model": MODEL, "prompt": prompt, "stream": false})),
        ("/api/chat", "chat", json!({"model": MODEL, "messages": messages})),
        ("/api/chat", "chat", json!({"model": MODEL, "messages": messages, "stream": false})),
        (
            "/v1/chat/completions",
            "openai_chat",
            json!({"model": MODEL, "messages": messages, "max_tokens": 12, "temperature": 0}),
        ),
        (
            "/v1/chat/completions",
            "openai_chat",
            json!({"model": MODEL, "messages": messages, "max_tokens": 12, "temperature": 0, "stream": true, "stream_options": usage}),
        ),
        (
            "/v1/completions",
            "openai_completions",
            json!({"model": MODEL, "prompt": prompt, "max_tokens": 12, "temperature": 0}),
        ),
        (
            "/v1/completions",
            "openai_completions",
            json!({"model": MODEL, "prompt": prompt, "max_tokens": 12, "temperature": 0, "stream": true, "stream_options": usage}),
        ),
        ("/api/embed", "embed", json!({"model": EMBEDDER, "input": ["one sentence", "and another"]})),
        ("/api/embeddings", "embeddings", json!({"model": EMBEDDER, "prompt": "one sentence"})),
        (
            "/v1/embeddings",
            "openai_embeddings",
            json!({"model": EMBEDDER, "input": ["one sentence", "and another"]}),
        ),
    ];
    if version.runs_llama_server() {
        for stream in [false, true] {
            let response = json!({"model": MODEL, "input": prompt, "max_output_tokens": 12, "temperature": 0, "stream": stream});
            let message = json!({"model": MODEL, "messages": messages, "max_tokens": 12, "temperature": 0, "stream": stream});
            questions.push(("/v1/responses", "openai_responses", response));
            questions.push(("/v1/messages", "anthropic_messages", message));
        }
    }
    questions
}

fn generation_is_the_same_as_directly_and_counted_to_the_token(version: Version) {
    let ollama = Ollama::start(version, 1);
    let sidecar = Sidecar::start(&ollama);
    let (mut told, mut embedded) = (Told::default(), Told::default());
    // The same requests in the same order from empty caches get equal responses, to the last rounding.
    let ask = |url: &str| {
        ollama.unload();
        let questions = questions(version).into_iter();
        questions.map(|(path, _, body)| post(url, path, &body)).collect::<Vec<_>>()
    };
    let (direct, through) = (ask(&ollama.url), ask(&sidecar.url));
    for (((path, route, body), direct), through) in questions(version).into_iter().zip(direct).zip(through) {
        assert_eq!(direct.status, 200, "{path}: {direct:?}");
        assert_eq!(through.lasting(), direct.lasting(), "{path} {body}");
        *(if body["model"] == EMBEDDER { &mut embedded } else { &mut told }) += through.told();
        assert!(sidecar.sum("requests_total", &[&format!(r#"route="{route}""#)]) >= 1.0, "{route}");
    }
    sidecar.until("requests_total", &[r#"outcome="complete""#], questions(version).len() as f64);
    assert!(told.prompt > 0 && told.output > 0 && embedded.prompt > 0, "{told:?} {embedded:?}");
    assert_eq!(told.cached > 0, version >= Version::V0_34_3, "{told:?}");
    for (model, told) in [(MODEL, told), (EMBEDDER, embedded)] {
        let model = format!(r#"model="{model}:latest""#);
        for (kind, tokens) in
            [("prompt", told.prompt), ("output", told.output), ("prompt_cached", told.cached)]
        {
            let counted = sidecar.sum("tokens_total", &[&model, &format!(r#"kind="{kind}""#)]);
            assert_eq!(counted, tokens as f64, "{model} {kind}");
        }
    }
    assert_eq!(sidecar.sum("usage_missing_total", &[]), 0.0);
    assert_eq!(sidecar.sum("records_unscanned_total", &[]), 0.0);
}

on_every_ollama! {
    generation_is_the_same_as_directly_and_counted_to_the_token,
}
