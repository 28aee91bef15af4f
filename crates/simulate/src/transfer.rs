//! Pull, push, create, and the blobs of models.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answer::{Answer, Lines};
use super::endpoint::Endpoint;
use super::engine::Engine;
use super::name::{listed, same};
use super::reply::{Refusal, Reply, json_reply, lines, reply, with_body};

/// Time between two lines of progress.
const INTERVAL: Duration = Duration::from_millis(20);
/// Lines of progress per layer.
const STEPS: u64 = 10;
const LAYER: u64 = 2_019_377_376;

/// Serves pull, push and create.
pub(super) fn post(engine: &Engine, endpoint: Endpoint, body: &Value) -> Result<Reply, Refusal> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("model").or_else(|| text("name")).ok_or_else(|| Refusal::bad("model is required"))?;
    let progress = match endpoint {
        Endpoint::Pull => pull(engine, name),
        Endpoint::Push => push(engine, name),
        _ => {
            let from = text("from");
            if from.is_none() && body.get("files").is_none() && text("modelfile").is_none() {
                let error = Bytes::from(r#"{"error":"neither 'from' or 'files' was specified"}"#);
                let json = Some("application/json; charset=utf-8");
                return Ok(with_body(StatusCode::BAD_REQUEST, json, Answer::Chunked(error)));
            }
            create(engine, name, from)
        }
    };
    if body.get("stream").and_then(Value::as_bool) != Some(false) {
        let interval = if engine.config.rate > 0.0 { INTERVAL } else { Duration::ZERO };
        return Ok(lines(Lines::new(progress.iter().map(Value::to_string), interval)));
    }
    let last = progress.last().cloned().unwrap_or_default();
    match last.get("error").and_then(Value::as_str) {
        Some(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)),
        None => Ok(json_reply(StatusCode::OK, &last)),
    }
}

fn status(status: &str) -> Value {
    json!({"status": status})
}

fn layer(engine: &Engine, name: &str, verb: &str) -> impl Iterator<Item = Value> {
    let digest = engine.seed.child_of(&listed(name)).digest();
    let what = format!("{verb} {}", &digest[..12]);
    let digest = format!("sha256:{digest}");
    (0..=STEPS).map(move |step| match LAYER * step / STEPS {
        0 => json!({"status": what, "digest": digest, "total": LAYER}),
        completed => json!({"status": what, "digest": digest, "total": LAYER, "completed": completed}),
    })
}

/// The registry has every model with which the simulator was started, and every model whose name begins with `sim`.
fn pull(engine: &Engine, name: &str) -> Vec<Value> {
    let is_simulated = listed(name).to_ascii_lowercase().starts_with("sim");
    let mut progress = vec![status("pulling manifest")];
    if !is_simulated && !engine.config.models.iter().any(|model| same(model, name)) {
        progress.push(json!({"error": "pull model manifest: file does not exist"}));
        return progress;
    }
    progress.extend(layer(engine, name, "pulling"));
    progress.extend(["verifying sha256 digest", "writing manifest", "success"].map(status));
    engine.shelf.add(name);
    progress
}

fn push(engine: &Engine, name: &str) -> Vec<Value> {
    let mut progress = vec![status("retrieving manifest")];
    if engine.shelf.find(name).is_none() {
        progress.push(json!({"error": "couldn't retrieve manifest: file does not exist"}));
        return progress;
    }
    progress.extend(layer(engine, name, "pushing"));
    progress.extend(["pushing manifest", "success"].map(status));
    progress
}

fn create(engine: &Engine, name: &str, from: Option<&str>) -> Vec<Value> {
    if let Some(from) = from
        && engine.shelf.find(from).is_none()
    {
        return vec![
            status("pulling manifest"),
            json!({"error": "pull model manifest: file does not exist"}),
        ];
    }
    engine.shelf.add(name);
    let digest = engine.seed.child_of(&listed(name)).digest();
    let using = format!("using existing layer sha256:{digest}");
    [using.as_str(), "writing manifest", "success"].map(status).into()
}

/// Serves `/api/blobs/:digest`. It checks the form of the digest, but does not compare it with the data.
pub(super) async fn blob(engine: &Engine, method: &Method, digest: &str, mut body: Incoming) -> Reply {
    let hex = digest.strip_prefix("sha256:").or_else(|| digest.strip_prefix("sha256-")).unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return json_reply(StatusCode::BAD_REQUEST, &json!({"error": "invalid digest format"}));
    }
    let known = engine.blobs.contains(hex);
    if method == Method::HEAD {
        if !known {
            return json_reply(
                StatusCode::NOT_FOUND,
                &json!({"error": format!("blob {digest:?} not found")}),
            );
        }
        return reply(StatusCode::OK, "", Bytes::new());
    }
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return json_reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "unexpected EOF"}));
        };
        engine.truth.count_blob_bytes(frame.data_ref().map_or(0, Bytes::len));
    }
    engine.blobs.add(hex);
    reply(if known { StatusCode::OK } else { StatusCode::CREATED }, "", Bytes::new())
}
