//! Information about Ollama and its models.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::engine::Engine;
use super::object::{array, json, object};
use super::reference::{ModelRef, Source};
use super::reply::{Refusal, Reply, api_reply, reply, v1_reply};
use super::shelf::Model;
use super::stamp::{rfc3339, unix_now};

/// The context length in the model's file.
const CONTEXT: u32 = 131_072;
const EMBEDDING: u32 = 3072;
const SIZE: u64 = 2_019_393_189;
const SIZE_IN_MEMORY: u64 = 3_456_851_968;

/// Serves a GET or HEAD.
pub(super) fn get(engine: &Engine, endpoint: Endpoint) -> Reply {
    match endpoint {
        Endpoint::Version => {
            api_reply(object(&[("version", json(format!("{}+simulated", engine.config.version.release())))]))
        }
        Endpoint::Tags => api_reply(object(&[("models", array(tags(engine)))])),
        Endpoint::Ps => api_reply(object(&[("models", array(ps(engine)))])),
        Endpoint::OpenAiModels => {
            let models = engine.shelf.models();
            let data = models.iter().map(|model| openai_model(&model.name, model));
            v1_reply(object(&[("object", json("list")), ("data", array(data))]))
        }
        _ => reply(StatusCode::OK, "text/plain; charset=utf-8", "Ollama is running"),
    }
}

/// Serves `/v1/models/:model`.
pub(super) fn model(engine: &Engine, name: &str) -> Result<Reply, Refusal> {
    Ok(match find(engine, name, Endpoint::OpenAiModel)? {
        Found::Here(model) => v1_reply(openai_model(name, &model)),
        Found::Cloud(reply) => *reply,
    })
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
    if endpoint == Endpoint::Delete {
        return match engine.shelf.remove(name) {
            true => Ok(reply(StatusCode::OK, "", Bytes::new())),
            false => Err(Refusal::no_model(name)),
        };
    }
    Ok(match find(engine, name, endpoint)? {
        Found::Here(model) => api_reply(show(engine, &model)),
        Found::Cloud(reply) => *reply,
    })
}

/// The place of the model that a request asks about.
enum Found {
    Here(Model),
    /// The answer of the cloud.
    Cloud(Box<Reply>),
}

fn find(engine: &Engine, name: &str, endpoint: Endpoint) -> Result<Found, Refusal> {
    let ModelRef { base, source } = ModelRef::read(engine.config.version, name)?;
    if source != Source::Cloud {
        return engine.shelf.find(&base).map(Found::Here).ok_or_else(|| Refusal::no_model(name));
    }
    engine.truth.count_cloud();
    let refused = engine.config.cloud.refuse(endpoint.path(), "remote model details are unavailable");
    let reply = refused.unwrap_or_else(|| {
        let model = Model { name: base.clone(), modified: unix_now() };
        match endpoint {
            Endpoint::OpenAiModel => v1_reply(openai_model(&base, &model)),
            _ => api_reply(show(engine, &model)),
        }
    });
    Ok(Found::Cloud(Box::new(reply)))
}

fn show(engine: &Engine, model: &Model) -> String {
    let info = object(&[
        ("general.architecture", json("sim")),
        ("general.parameter_count", json(3_212_749_888_u64)),
        ("sim.block_count", json(28)),
        ("sim.context_length", json(CONTEXT)),
        ("sim.embedding_length", json(EMBEDDING)),
    ]);
    object(&[
        ("modelfile", json(format!("FROM {}\n", model.name))),
        ("template", json("{{ .Prompt }}")),
        ("details", details(engine, Details::Short)),
        ("model_info", info),
        ("capabilities", capabilities(engine)),
        ("modified_at", json(rfc3339(model.modified))),
    ])
}

fn capabilities(engine: &Engine) -> String {
    let all = ["completion", "tools", "thinking", "embedding"];
    let can = if engine.config.embeddings { &all[..] } else { &all[..3] };
    array(can.iter().map(|capability| json(*capability)))
}

fn tags(engine: &Engine) -> Vec<String> {
    let listed = |model: Model| {
        let mut fields = vec![
            ("name", json(model.name.as_str())),
            ("model", json(model.name.as_str())),
            ("modified_at", json(rfc3339(model.modified))),
            ("size", json(SIZE)),
            ("digest", json(engine.seed.child_of(&model.name).digest())),
            ("details", details(engine, Details::Long)),
        ];
        if engine.config.version.runs_llama_server() {
            fields.push(("capabilities", capabilities(engine)));
        }
        object(&fields)
    };
    engine.shelf.models().into_iter().map(listed).collect()
}

fn ps(engine: &Engine) -> Vec<String> {
    let mut residents = engine.shelf.residents();
    residents.sort_by_key(|(_, expires)| std::cmp::Reverse(*expires));
    let running = |(name, expires): (String, Duration)| {
        object(&[
            ("name", json(name.as_str())),
            ("model", json(name.as_str())),
            ("size", json(SIZE_IN_MEMORY)),
            ("digest", json(engine.seed.child_of(&name).digest())),
            ("details", details(engine, Details::Short)),
            ("expires_at", json(rfc3339(expires))),
            ("size_vram", json(SIZE_IN_MEMORY)),
            ("context_length", json(engine.config.context)),
        ])
    };
    residents.into_iter().map(running).collect()
}

fn openai_model(name: &str, model: &Model) -> String {
    object(&[
        ("id", json(name)),
        ("object", json("model")),
        ("created", json(model.modified.as_secs())),
        ("owned_by", json("library")),
    ])
}

/// The details of a model that are reported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Details {
    Short,
    /// The lengths as well, since 0.30.
    Long,
}

fn details(engine: &Engine, details: Details) -> String {
    let mut fields = vec![
        ("parent_model", json("")),
        ("format", json("gguf")),
        ("family", json("sim")),
        ("families", array([json("sim")])),
        ("parameter_size", json("3.2B")),
        ("quantization_level", json("Q4_K_M")),
    ];
    if details == Details::Long && engine.config.version.runs_llama_server() {
        fields.extend([("context_length", json(CONTEXT)), ("embedding_length", json(EMBEDDING))]);
    }
    object(&fields)
}
