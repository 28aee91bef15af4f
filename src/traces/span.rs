//! Makes a span from a request that has ended.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value},
    trace::v1::{Span, SpanFlags, Status, span, status::StatusCode as Verdict},
};

use super::{attribute as name, finished::Finished};
use crate::meter::{Ending, Outcome, Step};

/// The flag of a sampled trace.
const SAMPLED: u32 = 1;

/// Makes the span of a request.
pub(super) fn span(finished: &Finished) -> Span {
    let Finished { sampled, ending, ended, .. } = finished;
    let began = ended.checked_sub(ending.duration).unwrap_or(*ended);
    let mut flags = SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32;
    if sampled.parent.is_some() {
        flags |= SpanFlags::ContextIsRemoteMask as u32;
    }
    Span {
        trace_id: sampled.trace.bytes().to_vec(),
        span_id: sampled.span.to_vec(),
        trace_state: sampled.state.clone(),
        parent_span_id: sampled.parent.map(Vec::from).unwrap_or_default(),
        flags,
        name: span_name(finished),
        kind: span::SpanKind::Server.into(),
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(*ended),
        attributes: attributes(finished),
        events: events(ending, began),
        status: Some(status(ending)),
        ..Span::default()
    }
}

/// `{operation} {model}`, or else `{method} {path}`.
fn span_name(finished: &Finished) -> String {
    let route = finished.ending.route;
    let (first, second) = match name::operation(route) {
        Some(operation) => (operation, finished.named.as_deref()),
        None => (finished.method().as_str(), name::path(route)),
    };
    second.map_or_else(|| first.to_owned(), |second| format!("{first} {second}"))
}

/// A failure that is not the client's.
fn status(ending: &Ending) -> Status {
    match error(ending) {
        Some(_) => Status { message: ending.reason().into_owned(), code: Verdict::Error.into() },
        None => Status::default(),
    }
}

/// The value of `error.type`, if the request failed for a reason other than its client.
fn error(ending: &Ending) -> Option<String> {
    match ending.status {
        Some(status) if status.is_server_error() => Some(status.as_u16().to_string()),
        // A drain cut the response, or the upstream broke it off.
        Some(status) if status.is_success() => {
            let failed = ending.outcome.is_failure() || ending.outcome == Outcome::Refused;
            failed.then(|| ending.outcome.label().to_owned())
        }
        Some(_) => None,
        None => ending.outcome.is_failure().then(|| ending.outcome.label().to_owned()),
    }
}

fn attributes(finished: &Finished) -> Vec<KeyValue> {
    let Finished { ending, named, listed, .. } = finished;
    let (route, usage) = (ending.route, &ending.usage);
    let mut all = Attributes(Vec::with_capacity(24));
    all.text(name::HTTP_METHOD, Some(finished.method().as_str()));
    all.text(name::HTTP_ROUTE, name::path(route));
    all.whole(name::HTTP_STATUS, ending.status.as_ref().map(StatusCode::as_u16));
    all.text(name::ERROR_TYPE, error(ending).as_deref());
    if let Some(operation) = name::operation(route) {
        all.text(name::OPERATION, Some(operation));
        all.text(name::PROVIDER, Some(name::OLLAMA));
        all.text(name::REQUEST_MODEL, named.as_deref());
        all.text(name::RESPONSE_MODEL, listed.as_deref());
        all.truth(name::REQUEST_STREAM, ending.is_streamed);
        let reasons = ending.finish.map(|reason| vec![text(reason.label())]);
        all.add(name::FINISH_REASONS, reasons.map(|values| Value::ArrayValue(ArrayValue { values })));
        all.seconds(name::FIRST_CHUNK, ending.timeline.first_record.filter(|_| ending.is_streamed));
        all.whole(name::INPUT_TOKENS, usage.prompt_tokens);
        all.whole(name::CACHED_TOKENS, usage.prompt_cached_tokens);
        all.whole(name::OUTPUT_TOKENS, usage.output_tokens);
        all.whole(name::CONTEXT, ending.context);
        all.truth(name::PROMPT_CUT, ending.is_prompt_cut);
        all.text(name::LOAD_CAUSE, ending.load.as_ref().map(|load| load.cause.label()));
        all.seconds(name::HIDDEN_QUEUE, ending.hidden_queue);
        all.seconds(name::LOAD, usage.load);
        all.seconds(name::PROMPT_EVAL, usage.prompt_eval);
        all.seconds(name::EVAL, usage.eval);
    }
    all.text(name::REQUEST_ID, Some(&ending.id.to_string()));
    all.text(name::ROUTE, Some(route.label()));
    all.text(name::CALLER, ending.caller.as_deref());
    all.text(name::UPSTREAM, Some(&ending.upstream));
    all.text(name::OUTCOME, Some(ending.outcome.label()));
    all.0
}

/// The phases of a request, in the order in which they happened.
fn events(ending: &Ending, began: SystemTime) -> Vec<span::Event> {
    let steps = ending.steps.iter();
    let mut events: Vec<_> = steps.filter_map(|(at, step)| Some((*at, step_event(step)?))).collect();
    let timeline = &ending.timeline;
    let mut add = |at: Option<Duration>, name| {
        events.extend(at.map(|at| (at, span::Event { name: str::to_owned(name), ..span::Event::default() })));
    };
    add(timeline.sent, name::SENT);
    // The durations are Ollama's own, and they begin when its hidden queue ends.
    let started = timeline.sent.zip(ending.hidden_queue).map(|(sent, queue)| sent + queue);
    add(started.filter(|_| ending.hidden_queue > Some(Duration::ZERO)), name::STARTED);
    let load = ending.usage.load.unwrap_or_default();
    add(started.filter(|_| ending.load.is_some()).map(|at| at + load), name::LOADED);
    let evaluated = started.zip(ending.usage.prompt_eval).map(|(at, prompt)| at + load + prompt);
    add(evaluated, name::EVALUATED);
    add(timeline.first_record, name::FIRST_RECORD);
    add(ending.first_token, name::FIRST_TOKEN);
    add(timeline.last_content.filter(|_| ending.is_streamed), name::LAST_TOKEN);
    // Stable, so that those of one moment keep their order.
    events.sort_by_key(|(at, _)| *at);
    let timed = |(at, event)| span::Event { time_unix_nano: nanos(began + at), ..event };
    events.into_iter().map(timed).collect()
}

fn step_event(step: &Step) -> Option<span::Event> {
    let (name, detail) = match step {
        Step::Admitted => (name::ADMITTED, None),
        Step::Queued => (name::QUEUED, None),
        Step::Dispatched { upstream, reason } => (name::DISPATCHED, Some((upstream, reason))),
        Step::Retried { upstream, reason } => (name::RETRIED, Some((upstream, reason))),
        // A step of a newer meter.
        _ => return None,
    };
    let mut attributes = Attributes(Vec::new());
    if let Some((upstream, reason)) = detail {
        attributes.text(name::UPSTREAM, Some(upstream));
        attributes.text(name::REASON, Some(reason));
    }
    Some(span::Event { name: name.to_owned(), attributes: attributes.0, ..span::Event::default() })
}

/// Attributes. One without a value is left out.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, name: name::Name, value: Option<Value>) {
        self.0.extend(value.map(|value| key_value(name, value)));
    }

    fn text(&mut self, name: name::Name, value: Option<&str>) {
        self.add(name, value.map(|value| Value::StringValue(value.to_owned())));
    }

    fn whole(&mut self, name: name::Name, value: Option<impl Into<u64>>) {
        let value = value.map(|value| i64::try_from(value.into()).unwrap_or(i64::MAX));
        self.add(name, value.map(Value::IntValue));
    }

    fn seconds(&mut self, name: name::Name, value: Option<Duration>) {
        self.add(name, value.map(|value| Value::DoubleValue(value.as_secs_f64())));
    }

    fn truth(&mut self, name: name::Name, value: bool) {
        self.add(name, Some(Value::BoolValue(value)));
    }
}

/// An attribute.
pub(super) fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.to_owned())) }
}

/// Nanoseconds since 1970, as OTLP counts.
fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
