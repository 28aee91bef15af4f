//! What generates and embeds, with curl: equal to the direct answer, and counted to the token.

use serde_json::{Value, json};

use super::{
    answer::{Told, post},
    ollama::{EMBEDDER, MODEL, Ollama},
    sidecar::Sidecar,
};

/// A busy Ollama now and then answers the same question otherwise: what its cache holds when it begins changes roundings.
/// What a sidecar did to an answer, it would do again.
const PATIENCE: u32 = 4;

/// Every way to ask for a generation or an embedding: path, label of the route, body.
fn questions() -> Vec<(&'static str, &'static str, Value)> {
    let prompt = "Why is the sky blue?";
    let messages = json!([{"role": "user", "content": "Name three colours."}]);
    let usage = json!({"include_usage": true});
    vec![
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
        // At the end, for their model drives the other out.
        ("/api/embed", "embed", json!({"model": EMBEDDER, "input": ["one sentence", "and another"]})),
        ("/api/embeddings", "embeddings", json!({"model": EMBEDDER, "prompt": "one sentence"})),
        (
            "/v1/embeddings",
            "openai_embeddings",
            json!({"model": EMBEDDER, "input": ["one sentence", "and another"]}),
        ),
    ]
}

#[test]
#[ignore = "needs a real Ollama; tests/real/install.sh"]
fn every_generation_is_what_it_is_without_us_and_counted_to_the_token() {
    let ollama = Ollama::start(1);
    let sidecar = Sidecar::start(&ollama);
    let (mut told, mut embedded, mut asked) = (Told::default(), Told::default(), 0.0);
    for (path, route, body) in questions() {
        // The first fills Ollama's cache of prompts, so that the two which are compared start alike.
        post(&ollama.url, path, &body);
        for again in (0..PATIENCE).rev() {
            let direct = post(&ollama.url, path, &body);
            let through = post(&sidecar.url, path, &body);
            assert_eq!(direct.status, 200, "{path}: {direct:?}");
            *(if body["model"] == EMBEDDER { &mut embedded } else { &mut told }) += through.told();
            asked += 1.0;
            sidecar.until("requests_total", &[r#"outcome="complete""#], asked);
            if through.lasting() == direct.lasting() {
                break;
            }
            assert!(again > 0, "{path} {body}: {:?} and not {:?}", through.lasting(), direct.lasting());
        }
        assert!(sidecar.sum("requests_total", &[&format!(r#"route="{route}""#)]) >= 1.0, "{route}");
    }
    assert!(told.prompt > 0 && told.output > 0 && embedded.prompt > 0, "{told:?} {embedded:?}");
    for (model, told) in [(MODEL, told), (EMBEDDER, embedded)] {
        let model = format!(r#"model="{model}:latest""#);
        for (kind, tokens) in [("prompt", told.prompt), ("output", told.output), ("prompt_cached", 0)] {
            let counted = sidecar.sum("tokens_total", &[&model, &format!(r#"kind="{kind}""#)]);
            assert_eq!(counted, tokens as f64, "{model} {kind}");
        }
    }
    assert_eq!(sidecar.sum("usage_missing_total", &[]), 0.0);
    assert_eq!(sidecar.sum("records_unscanned_total", &[]), 0.0);
}
