//! Embeddings: a prefill and nothing more.

use http::StatusCode;
use serde_json::{Value, json};

use super::ask::Ask;
use super::endpoint::Endpoint;
use super::engine::Engine;
use super::inference::Ready;
use super::reply::{Reply, json_reply, v1_reply};
use super::seed::Seed;

const DIMENSIONS: u64 = 32;

/// Answers with a vector for each input, the same for the same text.
pub(super) fn embed(engine: &Engine, endpoint: Endpoint, ask: &Ask, body: &Value, mut ready: Ready) -> Reply {
    let inputs: Vec<&str> = match body.get("input").or_else(|| body.get("prompt")) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let vectors: Vec<_> = inputs.iter().map(|text| vector(engine.seed.child_of(text))).collect();
    ready.outcome.settle();
    let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match endpoint {
        Endpoint::Embeddings => {
            json_reply(StatusCode::OK, &json!({"embedding": vectors.into_iter().next().unwrap_or_default()}))
        }
        Endpoint::OpenAiEmbeddings => {
            let data: Vec<_> = vectors
                .into_iter()
                .enumerate()
                .map(|(index, vector)| json!({"object": "embedding", "embedding": vector, "index": index}))
                .collect();
            let tokens = ask.prompt_tokens;
            let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
            v1_reply(&json!({"object": "list", "data": data, "model": ask.model, "usage": usage}))
        }
        _ => json_reply(
            StatusCode::OK,
            &json!({
                "model": ask.model, "embeddings": vectors, "total_duration": nanos(ready.asked.elapsed()),
                "load_duration": nanos(ready.load), "prompt_eval_count": ask.prompt_tokens,
            }),
        ),
    }
}

/// A vector of length 1.
fn vector(seed: Seed) -> Vec<f64> {
    let raw: Vec<f64> = (0..DIMENSIONS).map(|place| seed.unit(place) - 0.5).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.into_iter().map(|x| x / length).collect()
}
