//! What Ollama tells of itself and of its models.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::engine::Engine;
use super::reply::{Refusal, Reply, json_reply, reply, v1_reply};
use super::stamp::rfc3339;

const SIZE: u64 = 2_019_393_189;
const SIZE_IN_MEMORY: u64 = 3_456_851_968;

/// Serves a GET or HEAD.
pub(super) fn get(engine: &Engine, endpoint: Endpoint) -> Reply {
    match endpoint {
        Endpoint::Version => json_reply(StatusCode::OK, &json!({"version": engine.config.version.release()})),
        Endpoint::Tags => json_reply(StatusCode::OK, &json!({"models": tags(engine)})),
        Endpoint::Ps => json_reply(StatusCode::OK, &json!({"models": ps(engine)})),
        Endpoint::OpenAiModels => v1_reply(&json!({"object": "list", "data": openai_models(engine)})),
        _ => reply(StatusCode::OK, "text/plain; charset=utf-8", "Ollama is running"),
    }
}

/// Serves `/v1/models/:model`.
pub(super) fn model(engine: &Engine, name: &str) -> Result<Reply, Refusal> {
    let model = engine.shelf.find(name).ok_or_else(|| Refusal::no_model(name))?;
    Ok(v1_reply(&openai_model(name, model.modified.as_secs())))
}

/// Serves show, copy and delete.
pub(super) fn post(engine: &Engine, endpoint: Endpoint, body: &Value) -> Result<Reply, Refusal> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if endpoint == Endpoint::Copy {
        let source = text("source").ok_or_else(|| Refusal::bad("source \"\" is invalid"))?;
        let destination = text("destination").ok_or_else(|| Refusal::bad("destination \"\" is invalid"))?;
        if engine.shelf.find(source).is_none() {
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("model {source:?} not found")));
        }
        engine.shelf.add(destination);
        return Ok(reply(StatusCode::OK, "", Bytes::new()));
    }
    let name = text("model").or_else(|| text("name")).ok_or_else(|| Refusal::bad("model is required"))?;
    let model = engine.shelf.find(name).ok_or_else(|| Refusal::no_model(name))?;
    if endpoint == Endpoint::Delete {
        engine.shelf.remove(name);
        return Ok(reply(StatusCode::OK, "", Bytes::new()));
    }
    Ok(json_reply(
        StatusCode::OK,
        &json!({
            "modelfile": format!("FROM {}\n", model.name), "parameters": "", "template": "{{ .Prompt }}",
            "details": details(), "capabilities": ["completion", "tools", "thinking", "embedding"],
            "modified_at": rfc3339(model.modified),
            "model_info": {
                "general.architecture": "sim", "general.parameter_count": 3_212_749_888_u64,
                "sim.context_length": 131_072, "sim.embedding_length": 3072, "sim.block_count": 28,
            },
        }),
    ))
}

fn tags(engine: &Engine) -> Vec<Value> {
    engine
        .shelf
        .models()
        .into_iter()
        .map(|model| {
            json!({
                "name": model.name, "model": model.name, "modified_at": rfc3339(model.modified), "size": SIZE,
                "digest": engine.seed.child_of(&model.name).digest(), "details": details(),
            })
        })
        .collect()
}

fn ps(engine: &Engine) -> Vec<Value> {
    let mut residents = engine.shelf.residents();
    residents.sort_by_key(|(_, expires)| std::cmp::Reverse(*expires));
    residents
        .into_iter()
        .map(|(name, expires)| {
            json!({
                "name": name, "model": name, "size": SIZE_IN_MEMORY,
                "digest": engine.seed.child_of(&name).digest(), "details": details(),
                "expires_at": rfc3339(expires), "size_vram": SIZE_IN_MEMORY, "context_length": 4096,
            })
        })
        .collect()
}

fn openai_models(engine: &Engine) -> Vec<Value> {
    engine.shelf.models().iter().map(|model| openai_model(&model.name, model.modified.as_secs())).collect()
}

fn openai_model(name: &str, created: u64) -> Value {
    json!({"id": name, "object": "model", "created": created, "owned_by": "library"})
}

fn details() -> Value {
    json!({
        "parent_model": "", "format": "gguf", "family": "sim", "families": ["sim"], "parameter_size": "3.2B",
        "quantization_level": "Q4_K_M",
    })
}
