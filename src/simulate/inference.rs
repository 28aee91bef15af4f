//! Requests to generate: queue, load, prefill, then the answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::ask::{Ask, KeepAlive};
use super::decode::{Decode, Outcome, Step, seconds_each};
use super::embed;
use super::endpoint::Endpoint;
use super::engine::{Engine, Lot};
use super::faults::Fault;
use super::reply::{Refusal, Reply, reply, with_body};
use super::script::{Plan, Script};
use super::shelf::Seat;
use super::stamp::{rfc3339, unix_now};
use super::stream::Stream;
use super::voice::{Ending, Voice, quoted, voice};

/// A request that has its slot and has read its prompt.
pub(super) struct Ready {
    pub(super) seat: Seat,
    pub(super) outcome: Outcome,
    pub(super) asked: Instant,
    pub(super) load: Duration,
    pub(super) prompt_eval: Duration,
    pub(super) cached_tokens: u32,
}

/// Serves a request that takes a slot.
pub(super) async fn post(
    engine: &Engine,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: &Value,
) -> Result<Reply, Refusal> {
    let asked = Instant::now();
    let ask = Ask::read(endpoint, body, engine.default_model());
    if engine.shelf.find(&ask.model).is_none() {
        return Err(Refusal::no_model(&ask.model));
    }
    if ask.empty && ask.keep_alive == Some(KeepAlive::NONE) {
        engine.shelf.unload(&ask.model);
        return Ok(nothing_said(endpoint, &ask, "unload"));
    }
    let lot = engine.draw(headers)?;
    if lot.fate.refuse {
        engine.truth.count_fault(Fault::Refuse);
        return Err(Refusal::busy());
    }
    let mut ready = prepare(engine, &ask, asked, &lot).await?;
    match endpoint {
        _ if ask.empty => {
            ready.outcome.settle();
            Ok(nothing_said(endpoint, &ask, "load"))
        }
        Endpoint::Embed | Endpoint::Embeddings | Endpoint::OpenAiEmbeddings => {
            Ok(embed::embed(engine, endpoint, &ask, body, ready))
        }
        _ => answer(engine, endpoint, &ask, body, lot, ready).await,
    }
}

/// Waits for the model, for a slot, and until the prompt is read.
async fn prepare(engine: &Engine, ask: &Ask, asked: Instant, lot: &Lot) -> Result<Ready, Refusal> {
    let mut outcome = Outcome::new(engine.truth());
    let seat = match engine.shelf.seat(&ask.model, ask.keep_alive, ask.prompt).await {
        Ok(seat) => seat,
        Err(_) => {
            outcome.settle();
            return Err(Refusal::busy());
        }
    };
    // The model was there: what that took is still more than nothing.
    let load =
        seat.ready.saturating_duration_since(asked).max(Duration::from_micros(50)).min(asked.elapsed());
    if let Some(pause) = lot.fate.slow_head {
        engine.truth.count_fault(Fault::SlowHead);
        sleep(pause).await;
    }
    let prefill = Instant::now();
    // What was run of 0.12 keeps no prompt of the models that it was run with.
    let caches = engine.config.version.runs_llama_server();
    let cached_tokens = if seat.cached && caches { ask.prompt_tokens - 1 } else { 0 };
    if !ask.empty {
        let tokens = f64::from(ask.prompt_tokens - cached_tokens);
        let time = Duration::try_from_secs_f64(tokens * seconds_each(engine.config.prefill_rate));
        let time = time.unwrap_or_default();
        if !time.is_zero() {
            sleep(time).await;
        }
        engine.truth.count_prompt(ask.prompt_tokens);
    }
    Ok(Ready { seat, outcome, asked, load, prompt_eval: prefill.elapsed(), cached_tokens })
}

async fn answer(
    engine: &Engine,
    endpoint: Endpoint,
    ask: &Ask,
    body: &Value,
    lot: Lot,
    ready: Ready,
) -> Result<Reply, Refusal> {
    let words = engine.seed.child_of(&ask.model).child(ask.prompt.at(0));
    let voice = voice(endpoint, engine.config.version, ask, body, words);
    let mut ending = Ending {
        version: engine.config.version,
        path: lot.path,
        script: Script::new(words, plan(engine, ask)),
        seed: words,
        estimate: ask.estimate,
        prompt_tokens: ask.prompt_tokens,
        cached_tokens: ready.cached_tokens,
        asked: ready.asked,
        load: ready.load,
        prompt_eval: ready.prompt_eval,
        eval_nanos: 0,
        total: Duration::ZERO,
    };
    let tokens = ending.script.tokens();
    let mut decode = Decode::start(lot.pace, lot.seed, tokens, &lot.fate, ready.seat, ready.outcome);
    if !ask.stream {
        let end = decode.run().await;
        ending.finish(&decode);
        return whole(&mut decode, voice.as_ref(), &ending, end);
    }
    let (content_type, keeps_alive) = (voice.content_type(), voice.keeps_alive());
    let mut stream = Box::new(Stream::new(voice, ending, decode, lot.fate, lot.seed));
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

/// What the answer is to be. Where tools may be called, they are, in turn.
fn plan(engine: &Engine, ask: &Ask) -> Plan {
    let tools = ask.tools.iter().cycle().take(engine.config.tool_calls as usize).cloned().collect();
    Plan {
        tokens: engine.config.tokens,
        limit: ask.limit,
        think: ask.think,
        tools,
        tool_text: engine.config.tool_text,
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

/// One plain object, even where a stream was asked for.
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
