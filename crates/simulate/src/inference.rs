//! Requests to generate: queue, load, prefill, then the answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::ask::{Ask, Format, KeepAlive};
use super::decode::{Decode, Outcome, Step, Tokens, seconds_each};
use super::embed;
use super::endpoint::Endpoint;
use super::engine::Engine;
use super::faults::Fault;
use super::lot::Lot;
use super::prompt::fit;
use super::ready::Ready;
use super::reference::{ModelRef, Source};
use super::reply::{Refusal, Reply, reply, with_body};
use super::script::{Plan, Script};
use super::stamp::{rfc3339, unix_now};
use super::stream::Stream;
use super::version::{ChatPath, OllamaVersion};
use super::voice::{Ending, Voice, quoted, voice};

/// The time in which 0.12 finds that a model is loaded.
const LOOKUP: Duration = Duration::from_millis(150);
/// The number of records of the cloud that come together.
const CLOUD_GROUP: u32 = 4;

/// Serves a request that takes a slot.
pub(super) async fn post(
    engine: &Engine,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: &Value,
) -> Result<Reply, Refusal> {
    let asked = Instant::now();
    let version = engine.config.version;
    let mut ask = Ask::read(endpoint, body, engine.default_model());
    validate(endpoint, body)?;
    let ModelRef { base, source } = ModelRef::read(version, &ask.model)?;
    if source == Source::Cloud {
        engine.truth.count_cloud();
        ask.model = base;
        if let Some(refused) = engine.config.cloud.refuse(endpoint.path(), "remote model is unavailable") {
            return Ok(refused);
        }
        let mut lot = engine.draw(headers)?;
        lot.group = CLOUD_GROUP;
        let ready = Ready {
            seat: None,
            outcome: Outcome::new(engine.truth()),
            asked,
            load: Duration::from_micros(50),
            prompt_eval: Duration::from_micros(50),
            prompt_tokens: ask.prompt_tokens,
            cached_tokens: 0,
            full: false,
        };
        return serve(engine, endpoint, &ask, body, lot, ready).await;
    }
    if ask.model.is_empty() && (endpoint.is_chat() || endpoint == Endpoint::Embeddings) {
        let said = "model is required";
        let translates = version >= OllamaVersion::V0_34
            && matches!(endpoint, Endpoint::OpenAiResponses | Endpoint::Compact);
        return Err(if translates { Refusal::untranslated(said) } else { Refusal::bad(said) });
    }
    if engine.shelf.find(&base).is_none() {
        return Err(Refusal::no_model(&ask.model));
    }
    if ask.empty && ask.keep_alive == Some(KeepAlive::NONE) {
        engine.shelf.unload(&base);
        return Ok(nothing_said(endpoint, &ask, "unload"));
    }
    let lot = engine.draw(headers)?;
    if lot.fate.refuse {
        engine.truth.count_fault(Fault::Refuse);
        return Err(Refusal::busy());
    }
    let ready = prepare(engine, endpoint, &ask, &base, asked, &lot).await?;
    serve(engine, endpoint, &ask, body, lot, ready).await
}

async fn serve(
    engine: &Engine,
    endpoint: Endpoint,
    ask: &Ask,
    body: &Value,
    lot: Lot,
    mut ready: Ready,
) -> Result<Reply, Refusal> {
    if ask.empty {
        ready.outcome.settle();
        return Ok(nothing_said(endpoint, ask, "load"));
    }
    if endpoint.embeds() {
        return Ok(embed::embed(engine, endpoint, ask, body, ready));
    }
    answer(engine, endpoint, ask, body, lot, ready).await
}

/// Returns the mistakes that Ollama finds before it looks for the model.
fn validate(endpoint: Endpoint, body: &Value) -> Result<(), Refusal> {
    let nothing = |key: &str| match body.get(key) {
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        value => value.is_none_or(Value::is_null),
    };
    let wrong = match endpoint {
        // The body is compressed.
        _ if body.is_null() => None,
        Endpoint::OpenAiEmbeddings if nothing("input") && body["input"] != "" => Some("invalid input"),
        Endpoint::OpenAiChat if nothing("messages") => Some("[] is too short - 'messages'"),
        Endpoint::Messages if nothing("model") => Some("model is required"),
        Endpoint::Messages if body.get("max_tokens").and_then(Value::as_i64).unwrap_or(0) <= 0 => {
            Some("max_tokens is required and must be positive")
        }
        Endpoint::Messages if nothing("messages") => Some("messages is required"),
        _ => None,
    };
    wrong.map_or(Ok(()), |wrong| Err(Refusal::untranslated(wrong)))
}

/// Waits for the model and for a slot, and until the prompt is read.
async fn prepare(
    engine: &Engine,
    endpoint: Endpoint,
    ask: &Ask,
    name: &str,
    asked: Instant,
    lot: &Lot,
) -> Result<Ready, Refusal> {
    let version = engine.config.version;
    let outcome = Outcome::new(engine.truth());
    let refuse = |mut outcome: Outcome, refusal| {
        outcome.settle();
        Err(refusal)
    };
    let pause =
        if version.runs_llama_server() { Duration::ZERO } else { LOOKUP.min(engine.config.load_time) };
    if !pause.is_zero() {
        sleep(pause).await;
    }
    // The model is in memory. The time to find that out is never reported as 0.
    let looked_up = asked.elapsed().max(Duration::from_micros(50));
    let Ok(seat) = engine.shelf.seat(name, ask.keep_alive, ask.prompt).await else {
        return refuse(outcome, Refusal::busy());
    };
    let load = seat.ready.saturating_duration_since(asked).max(looked_up).min(asked.elapsed());
    if endpoint.embeds() && !engine.config.embeddings {
        return refuse(outcome, embed::refuse(version, endpoint));
    }
    if !ask.empty && ask.format == Format::Unknown {
        let message = "invalid format; expected \"json\" or a valid JSON Schema object";
        return refuse(outcome, Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message));
    }
    let context = ask.context.unwrap_or(engine.config.context);
    let fit = match fit(version, lot.path, ask, context) {
        Ok(fit) => fit,
        Err(refusal) => return refuse(outcome, refusal),
    };
    if let Some(pause) = lot.fate.slow_head {
        engine.truth.count_fault(Fault::SlowHead);
        sleep(pause).await;
    }
    let prefill = Instant::now();
    // The model on which 0.12 was observed keeps no prompt in its cache.
    let cached = seat.cached && version.runs_llama_server();
    let cached_tokens = if cached { fit.tokens - 1 } else { 0 };
    if !ask.empty {
        let tokens = f64::from(fit.tokens - cached_tokens);
        let time = Duration::try_from_secs_f64(tokens * seconds_each(engine.config.prefill_rate));
        let time = time.unwrap_or_default();
        if !time.is_zero() {
            sleep(time).await;
        }
        engine.truth.count_prompt(fit.tokens);
    }
    Ok(Ready {
        seat: Some(seat),
        outcome,
        asked,
        load,
        prompt_eval: prefill.elapsed(),
        prompt_tokens: fit.tokens,
        cached_tokens,
        full: fit.full,
    })
}

async fn answer(
    engine: &Engine,
    endpoint: Endpoint,
    ask: &Ask,
    body: &Value,
    lot: Lot,
    ready: Ready,
) -> Result<Reply, Refusal> {
    let version = engine.config.version;
    let words = engine.seed.child_of(&ask.model).child(ask.prompt.at(0));
    let voice = voice(endpoint, version, ask, body, words);
    let script = Script::new(words, plan(engine, ask, ready.full));
    let restarts = ask.is_chat
        && ask.format == Format::Json
        && lot.path == ChatPath::GoTemplate
        && (1..script.tokens()).contains(&script.thinking());
    let mut ending = Ending {
        version,
        path: lot.path,
        script,
        restarts,
        seed: words,
        estimate: ask.estimate,
        prompt_tokens: ready.prompt_tokens,
        cached_tokens: ready.cached_tokens,
        asked: ready.asked,
        load: ready.load,
        prompt_eval: ready.prompt_eval,
        eval_nanos: 0,
        total: Duration::ZERO,
    };
    // The prompt of the second run contains the thinking.
    ending.prompt_tokens += ending.counted_from();
    let tokens = Tokens { all: ending.script.tokens(), counted_from: ending.counted_from() };
    let mut decode = Decode::start(lot.pace, lot.seed, tokens, &lot.fate, ready.seat, ready.outcome);
    if !ask.stream {
        let end = decode.run().await;
        ending.finish(&decode);
        return whole(&mut decode, voice.as_ref(), &ending, end);
    }
    let (content_type, keeps_alive) = (voice.content_type(), voice.keeps_alive());
    let mut stream = Box::new(Stream::new(voice, ending, decode, lot));
    if !stream.begin().await {
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, super::voice::FAILURE));
    }
    let mut reply = with_body(StatusCode::OK, Some(content_type), Answer::Stream(stream));
    if keeps_alive {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    Ok(reply)
}

/// Plans the answer. If tools may be called, they are called in turn.
fn plan(engine: &Engine, ask: &Ask, full: bool) -> Plan {
    let tools = ask.tools.iter().cycle().take(engine.config.tool_calls as usize).cloned().collect();
    Plan {
        tokens: engine.config.tokens,
        limit: if full { Some(1) } else { ask.limit },
        think: ask.think,
        tools,
        tool_text: engine.config.tool_text,
        withholds_last: !full && !engine.config.version.runs_llama_server(),
    }
}

fn whole(decode: &mut Decode, voice: &dyn Voice, ending: &Ending, end: Step) -> Result<Reply, Refusal> {
    let mut text = voice.whole(ending);
    let Step::Cut(fault) = end else {
        decode.ended();
        return Ok(reply(StatusCode::OK, voice.whole_type(), text));
    };
    decode.settle();
    if fault == Fault::Error {
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, super::voice::FAILURE));
    }
    text.truncate(text.floor_char_boundary(text.len() / 2));
    let half = Bytes::from(text);
    let body = if fault == Fault::Reset { Answer::Broken(Some(half)) } else { Answer::Chunked(half) };
    Ok(with_body(StatusCode::OK, Some(voice.whole_type()), body))
}

/// One plain JSON object, even if a stream was requested.
fn nothing_said(endpoint: Endpoint, ask: &Ask, reason: &str) -> Reply {
    let said = match endpoint {
        Endpoint::Chat => r#""message":{"role":"assistant","content":""}"#,
        _ => r#""response":"""#,
    };
    let (model, now) = (quoted(&ask.model), rfc3339(unix_now()));
    let body =
        format!(r#"{{"model":{model},"created_at":"{now}",{said},"done":true,"done_reason":"{reason}"}}"#);
    reply(StatusCode::OK, "application/json; charset=utf-8", body)
}
