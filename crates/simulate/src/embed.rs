//! Embeddings: the prompt is read, and nothing is generated.

use http::StatusCode;
use serde_json::Value;

use super::ask::Ask;
use super::endpoint::Endpoint;
use super::engine::Engine;
use super::object::{array, json, object};
use super::ready::Ready;
use super::reply::{Refusal, Reply, api_reply, v1_reply};
use super::seed::Seed;
use super::version::OllamaVersion;

/// The number of dimensions of all-minilm.
const DIMENSIONS: u64 = 384;

/// Refuses an embedding, as a model that only generates does. The older route answers every refusal with 500.
pub(super) fn refuse(version: OllamaVersion, endpoint: Endpoint) -> Refusal {
    if version.runs_llama_server() {
        let message = "This server does not support embeddings. Start it with `--embeddings`";
        let is_older = endpoint == Endpoint::Embeddings;
        let status = if is_older { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NOT_IMPLEMENTED };
        Refusal::new(status, message)
    } else {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "this model does not support embeddings")
    }
}

/// Answers with a vector for each input. The same text gets the same vector.
pub(super) fn embed(engine: &Engine, endpoint: Endpoint, ask: &Ask, body: &Value, mut ready: Ready) -> Reply {
    let inputs: Vec<&str> = match body.get("input").or_else(|| body.get("prompt")) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let vectors: Vec<_> = inputs.iter().map(|text| vector(engine.seed.child_of(text))).collect();
    ready.outcome.settle();
    let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let tokens = ready.prompt_tokens;
    let written = |vector: &Vec<f32>| array(vector.iter().map(|value| json(*value)));
    // The older route writes the same values as float64.
    let wide = |vector: &Vec<f32>| array(vector.iter().map(|value| json(f64::from(*value))));
    match endpoint {
        Endpoint::Embeddings => {
            api_reply(object(&[("embedding", vectors.first().map_or_else(|| "[]".into(), wide))]))
        }
        Endpoint::OpenAiEmbeddings => {
            let data = vectors.iter().enumerate().map(|(index, vector)| {
                object(&[
                    ("object", json("embedding")),
                    ("embedding", written(vector)),
                    ("index", json(index)),
                ])
            });
            v1_reply(object(&[
                ("object", json("list")),
                ("data", array(data)),
                ("model", json(ask.model.as_str())),
                ("usage", object(&[("prompt_tokens", json(tokens)), ("total_tokens", json(tokens))])),
            ]))
        }
        _ => api_reply(object(&[
            ("model", json(ask.model.as_str())),
            ("embeddings", array(vectors.iter().map(written))),
            ("total_duration", json(nanos(ready.asked.elapsed()))),
            ("load_duration", json(nanos(ready.load))),
            ("prompt_eval_count", json(tokens)),
        ])),
    }
}

/// Returns a vector of length 1.
fn vector(seed: Seed) -> Vec<f32> {
    let raw: Vec<f64> = (0..DIMENSIONS).map(|place| seed.unit(place) - 0.5).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.into_iter().map(|x| (x / length) as f32).collect()
}
