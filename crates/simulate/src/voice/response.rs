//! `/v1/responses`: numbered events, ended by `response.completed`.
//!
//! The objects of a stream are Go maps, whose keys are sorted. The objects of a whole answer are structs with an
//! order of their own.

use std::ops::Range;

use serde_json::Value;

use super::super::ask::Ask;
use super::super::frames::{Frames, Mark, Template};
use super::super::object::{Fields, array, object};
use super::super::script::{Part, Script};
use super::super::seed::Seed;
use super::super::stamp::unix_now;
use super::super::version::OllamaVersion;
use super::{Call, Ending, Voice, quoted};

pub(super) struct Response {
    /// The fields of the request that the response repeats.
    echo: Fields,
    response: u64,
    item: u64,
    reasoning: u64,
    calls: u64,
}

impl Response {
    pub(super) fn new(version: OllamaVersion, ask: &Ask, body: &Value, seed: Seed) -> Self {
        let id = |place| seed.at(place) % 999_999;
        let (response, item, reasoning, calls) = (id(0), id(1), id(2), id(3));
        Self { echo: echo(version, ask, body), response, item, reasoning, calls }
    }

    fn item_id(&self, part: Part) -> String {
        match part {
            Part::Thinking => format!(r#""rs_{}""#, self.reasoning),
            _ => format!(r#""msg_{}""#, self.item),
        }
    }

    fn call_item_id(&self, call: usize) -> String {
        format!(r#""fc_{}_{call}""#, self.calls)
    }

    /// Writes the response in its present state, with the output so far. `ending` is set if it has ended.
    fn object(&self, order: Order, output: &[String], ending: Option<&Ending>) -> String {
        let now = unix_now().as_secs().to_string();
        let completed = if ending.is_some() { now.clone() } else { null() };
        let status = if ending.is_some() { "completed" } else { "in_progress" };
        let mut fields = vec![
            ("id", format!(r#""resp_{}""#, self.response)),
            ("object", quoted("response")),
            ("created_at", now),
            ("completed_at", completed),
            ("status", quoted(status)),
            ("incomplete_details", null()),
        ];
        let usage = ending.map_or_else(null, |ending| usage(order, ending));
        for (name, value) in &self.echo {
            let value = match *name {
                "output" => array(output.iter().cloned()),
                "usage" => usage.clone(),
                _ => value.clone(),
            };
            fields.push((*name, value));
        }
        order.object(fields)
    }

    /// Writes a finished part as an item of the output.
    fn part_item(&self, order: Order, part: Part, ending: &Ending) -> String {
        let id = self.item_id(part);
        if part == Part::Thinking {
            let text = quoted(&ending.script.text(part));
            let summary = order.object(vec![("type", quoted("summary_text")), ("text", text.clone())]);
            return order.object(vec![
                ("id", id),
                ("type", quoted("reasoning")),
                ("summary", format!("[{summary}]")),
                ("encrypted_content", text),
            ]);
        }
        order.object(vec![
            ("id", id),
            ("type", quoted("message")),
            ("status", quoted("completed")),
            ("role", quoted("assistant")),
            ("content", format!("[{}]", content_part(order, &ending.content()))),
        ])
    }

    /// Writes a tool call as an item of the output.
    fn call_item(&self, order: Order, call: &Call<'_>, status: &str, arguments: &str) -> String {
        order.object(vec![
            ("id", self.call_item_id(call.index)),
            ("type", quoted("function_call")),
            ("status", quoted(status)),
            ("call_id", quoted(&call.id)),
            ("name", quoted(call.name)),
            ("arguments", quoted(arguments)),
        ])
    }
}

/// The order of an object's keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Sorted,
    Declared,
}

impl Order {
    pub(super) fn object(self, mut fields: Fields) -> String {
        if self == Self::Sorted {
            fields.sort_by_key(|(name, _)| *name);
        }
        object(&fields)
    }
}

fn null() -> String {
    "null".to_owned()
}

/// Returns the fields after `incomplete_details`, in the order of the struct. The fields of the answer itself are
/// left open.
fn echo(version: OllamaVersion, ask: &Ask, body: &Value) -> Fields {
    let of = |pointer: &str| body.pointer(pointer).filter(|value| !value.is_null()).map(Value::to_string);
    let or = |pointer: &str, default: &str| of(pointer).unwrap_or_else(|| default.to_owned());
    let reasoning = match (of("/reasoning/effort"), of("/reasoning/summary")) {
        (None, None) => null(),
        (effort, summary) => {
            let (effort, summary) = (effort.unwrap_or_else(null), summary.unwrap_or_else(null));
            format!(r#"{{"effort":{effort},"summary":{summary}}}"#)
        }
    };
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    vec![
        ("model", quoted(&ask.model)),
        ("previous_response_id", null()),
        ("instructions", or("/instructions", "null")),
        ("output", String::new()),
        ("error", null()),
        ("tools", array(tools.iter().map(|each| tool(version, each)))),
        ("tool_choice", quoted("auto")),
        ("truncation", or("/truncation", r#""disabled""#)),
        ("parallel_tool_calls", "true".into()),
        ("text", format!(r#"{{"format":{}}}"#, or("/text/format", r#"{"type":"text"}"#))),
        ("top_p", or("/top_p", "1")),
        ("presence_penalty", "0".into()),
        ("frequency_penalty", "0".into()),
        ("top_logprobs", "0".into()),
        ("temperature", or("/temperature", "1")),
        ("reasoning", reasoning),
        ("usage", String::new()),
        ("max_output_tokens", or("/max_output_tokens", "null")),
        ("max_tool_calls", null()),
        ("store", "false".into()),
        ("background", or("/background", "false")),
        ("service_tier", quoted("default")),
        ("metadata", "{}".into()),
        ("safety_identifier", null()),
        ("prompt_cache_key", null()),
    ]
}

/// Writes a tool as the response repeats it. 0.33 sends all fields, sorted. 0.34 sends the fields of the request.
fn tool(version: OllamaVersion, tool: &Value) -> String {
    let fields = ["type", "name", "description", "strict", "parameters"].into_iter();
    let of = |name: &'static str| tool.get(name).filter(|value| !value.is_null()).map(Value::to_string);
    if version.tells_cached() {
        Order::Declared.object(fields.filter_map(|name| Some((name, of(name)?))).collect())
    } else {
        Order::Sorted.object(fields.map(|name| (name, of(name).unwrap_or_else(null))).collect())
    }
}

/// Before 0.34 no part of the prompt is reported as cached.
pub(super) fn usage(order: Order, ending: &Ending) -> String {
    let cached = if ending.version.tells_cached() { ending.cached_tokens } else { 0 };
    order.object(vec![
        ("input_tokens", ending.prompt_tokens.to_string()),
        ("output_tokens", ending.eval_count().to_string()),
        ("total_tokens", ending.total_tokens().to_string()),
        ("input_tokens_details", format!(r#"{{"cached_tokens":{cached}}}"#)),
        ("output_tokens_details", r#"{"reasoning_tokens":0}"#.into()),
    ])
}

fn content_part(order: Order, text: &str) -> String {
    order.object(vec![
        ("type", quoted("output_text")),
        ("text", quoted(text)),
        ("annotations", "[]".into()),
        ("logprobs", "[]".into()),
    ])
}

/// Returns the number of items before the item of this part, while it streams. Text before a call is not closed by
/// it, so both share an index.
fn place(part: Part, script: &Script) -> usize {
    usize::from(part != Part::Thinking && script.part(0) == Part::Thinking)
}

fn push(out: &mut Frames, name: &str, mut fields: Fields) {
    fields.push(("type", quoted(name)));
    fields.push(("sequence_number", out.next_sequence().to_string()));
    out.push(&format!("event: {name}\ndata: {}\n\n", Order::Sorted.object(fields)));
}

impl Voice for Response {
    fn keeps_alive(&self) -> bool {
        true
    }

    fn open(&self, _done: bool, _ending: &Ending, out: &mut Frames) {
        for name in ["response.created", "response.in_progress"] {
            push(out, name, vec![("response", self.object(Order::Sorted, &[], None))]);
        }
    }

    fn enter(&self, part: Part, script: &Script, out: &mut Frames) {
        let (id, place) = (self.item_id(part), place(part, script).to_string());
        let item = match part {
            Part::Thinking => format!(r#"{{"id":{id},"summary":[],"type":"reasoning"}}"#),
            _ => {
                format!(
                    r#"{{"content":[],"id":{id},"role":"assistant","status":"in_progress","type":"message"}}"#
                )
            }
        };
        push(out, "response.output_item.added", vec![("output_index", place.clone()), ("item", item)]);
        if part == Part::Content {
            let part = content_part(Order::Sorted, "");
            let fields =
                vec![("item_id", id), ("output_index", place), ("content_index", "0".into()), ("part", part)];
            push(out, "response.content_part.added", fields);
        }
    }

    fn template(&self, part: Part, _first: bool, script: &Script) -> Template {
        let (id, place) = (self.item_id(part), place(part, script));
        let (name, before, between, after) = match part {
            Part::Thinking => (
                "response.reasoning_summary_text.delta",
                "",
                format!(r#"","item_id":{id},"output_index":{place}"#),
                r#","summary_index":0"#,
            ),
            _ => (
                "response.output_text.delta",
                r#""content_index":0,"#,
                format!(r#"","item_id":{id},"logprobs":[],"output_index":{place}"#),
                "",
            ),
        };
        Template {
            before: format!("event: {name}\ndata: {{{before}\"delta\":\""),
            mark: Mark::Sequence,
            between: between + r#","sequence_number":"#,
            after: format!("{after},\"type\":\"{name}\"}}\n\n"),
        }
    }

    fn leave(&self, part: Part, script: &Script, out: &mut Frames) {
        // Text is not closed if a call follows.
        if part == Part::Thinking {
            let text = quoted(&script.text(part));
            let (id, place) = (self.item_id(part), place(part, script).to_string());
            let fields = vec![
                ("item_id", id.clone()),
                ("output_index", place.clone()),
                ("summary_index", "0".into()),
                ("text", text.clone()),
            ];
            push(out, "response.reasoning_summary_text.done", fields);
            let item = format!(
                r#"{{"encrypted_content":{text},"id":{id},"summary":[{{"text":{text},"type":"summary_text"}}],"type":"reasoning"}}"#
            );
            push(out, "response.output_item.done", vec![("output_index", place), ("item", item)]);
        }
    }

    fn calls(&self, calls: Range<usize>, _first: bool, ending: &Ending, out: &mut Frames) {
        for call in ending.calls(calls) {
            let place = (place(Part::ToolCall, &ending.script) + call.index).to_string();
            let (id, arguments) = (self.call_item_id(call.index), quoted(call.arguments));
            let at = || vec![("item_id", id.clone()), ("output_index", place.clone())];
            let item = |status: &str, arguments: &str| {
                let item = self.call_item(Order::Sorted, &call, status, arguments);
                vec![("output_index", place.clone()), ("item", item)]
            };
            push(out, "response.output_item.added", item("in_progress", ""));
            let mut delta = at();
            delta.push(("delta", arguments.clone()));
            push(out, "response.function_call_arguments.delta", delta);
            let mut done = at();
            done.push(("arguments", arguments));
            push(out, "response.function_call_arguments.done", done);
            push(out, "response.output_item.done", item("completed", call.arguments));
        }
    }

    fn close(&self, first: bool, ending: &Ending, out: &mut Frames) {
        let script = &ending.script;
        self.calls(ending.last_calls(), first, ending, out);
        let text = ending.content();
        let spoke = !text.is_empty();
        if spoke && script.calls().is_empty() {
            let (id, place) = (self.item_id(Part::Content), place(Part::Content, script).to_string());
            let at = |name, value| {
                vec![
                    ("item_id", id.clone()),
                    ("output_index", place.clone()),
                    ("content_index", "0".to_owned()),
                    (name, value),
                ]
            };
            let mut done = at("text", quoted(&text));
            done.push(("logprobs", "[]".into()));
            push(out, "response.output_text.done", done);
            push(out, "response.content_part.done", at("part", content_part(Order::Sorted, &text)));
            let item = self.part_item(Order::Sorted, Part::Content, ending);
            push(out, "response.output_item.done", vec![("output_index", place.clone()), ("item", item)]);
        }
        let mut output = self.items(Order::Sorted, ending);
        if spoke {
            output.push(self.part_item(Order::Sorted, Part::Content, ending));
        }
        let response = self.object(Order::Sorted, &output, Some(ending));
        push(out, "response.completed", vec![("response", response)]);
    }

    /// Text next to calls is not sent.
    fn whole(&self, ending: &Ending) -> String {
        let mut output = self.items(Order::Declared, ending);
        if ending.script.calls().is_empty() {
            output.push(self.part_item(Order::Declared, Part::Content, ending));
        }
        self.object(Order::Declared, &output, Some(ending)) + "\n"
    }
}

impl Response {
    /// Returns the items of the output before the message.
    fn items(&self, order: Order, ending: &Ending) -> Vec<String> {
        let thinks = ending.script.part(0) == Part::Thinking;
        let thinking = thinks.then(|| self.part_item(order, Part::Thinking, ending));
        let calls = ending
            .calls(ending.all_calls())
            .map(|call| self.call_item(order, &call, "completed", call.arguments));
        thinking.into_iter().chain(calls).collect()
    }
}
