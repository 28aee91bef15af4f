//! `/v1/responses`: numbered events, `response.completed` at the end.

use serde_json::{Value, json};

use super::super::frames::{Frames, Mark, Template};
use super::super::script::{Part, Script};
use super::super::stamp::unix_now;
use super::{Ending, Voice};

pub(super) struct Response {
    id: u32,
    created: u64,
    model: String,
}

impl Response {
    pub(super) fn new(model: &str, id: u32) -> Self {
        Self { id, created: unix_now().as_secs(), model: model.to_owned() }
    }

    fn item_id(&self, part: Part) -> String {
        match part {
            Part::Thinking => format!("rs_{:06}", self.id),
            Part::Content => format!("msg_{:06}", self.id),
            Part::ToolCall => format!("fc_{:06}_0", self.id),
        }
    }

    fn object(&self, status: &str, output: Vec<Value>, ending: Option<&Ending>) -> Value {
        let usage = ending.map(|ending| {
            json!({
                "input_tokens": ending.prompt_tokens,
                "output_tokens": ending.script.tokens(),
                "total_tokens": ending.total_tokens(),
                "input_tokens_details": {"cached_tokens": ending.cached_tokens},
                "output_tokens_details": {"reasoning_tokens": 0},
            })
        });
        json!({
            "id": format!("resp_{:06}", self.id), "object": "response", "created_at": self.created,
            "completed_at": ending.map(|_| unix_now().as_secs()), "status": status, "incomplete_details": null,
            "model": self.model, "previous_response_id": null, "instructions": null, "output": output,
            "error": null, "tools": [], "tool_choice": "auto", "truncation": "disabled",
            "parallel_tool_calls": true, "text": {"format": {"type": "text"}}, "top_p": 1.0,
            "presence_penalty": 0, "frequency_penalty": 0, "top_logprobs": 0, "temperature": 1.0,
            "reasoning": null, "usage": usage, "max_output_tokens": null, "max_tool_calls": null,
            "store": false, "background": false, "service_tier": "default", "metadata": {},
            "safety_identifier": null, "prompt_cache_key": null,
        })
    }

    /// A part as an item of the output, finished.
    fn item(&self, part: Part, script: &Script) -> Value {
        let (id, text) = (self.item_id(part), script.text(part));
        match part {
            Part::Thinking => json!({
                "id": id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}],
                "encrypted_content": text,
            }),
            Part::Content => json!({
                "id": id, "type": "message", "status": "completed", "role": "assistant",
                "content": [content_part(&text)],
            }),
            Part::ToolCall => json!({
                "id": id, "type": "function_call", "status": "completed", "call_id": self.call_id(),
                "name": script.tool(), "arguments": script.arguments(),
            }),
        }
    }

    fn call_id(&self) -> String {
        format!("call_{:08}", self.id)
    }
}

fn content_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The parts there are, in order.
fn parts(script: &Script) -> Vec<Part> {
    let mut parts: Vec<_> = (0..script.tokens()).map(|index| script.part(index)).collect();
    parts.dedup();
    parts
}

fn place(part: Part, script: &Script) -> usize {
    parts(script).iter().position(|other| *other == part).unwrap_or_default()
}

fn push(out: &mut Frames, name: &str, mut data: Value) {
    data["type"] = name.into();
    data["sequence_number"] = out.next_sequence().into();
    out.push(&format!("event: {name}\ndata: {data}\n\n"));
}

impl Voice for Response {
    fn keeps_alive(&self) -> bool {
        true
    }

    fn open(&self, _ending: &Ending, out: &mut Frames) {
        for name in ["response.created", "response.in_progress"] {
            push(out, name, json!({"response": self.object("in_progress", Vec::new(), None)}));
        }
    }

    fn enter(&self, part: Part, script: &Script, out: &mut Frames) {
        let (id, place) = (self.item_id(part), place(part, script));
        let item = match part {
            Part::Thinking => json!({"id": id, "type": "reasoning", "summary": []}),
            Part::Content => {
                json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []})
            }
            Part::ToolCall => json!({
                "id": id, "type": "function_call", "status": "in_progress", "call_id": self.call_id(),
                "name": script.tool(), "arguments": "",
            }),
        };
        push(out, "response.output_item.added", json!({"output_index": place, "item": item}));
        if part == Part::Content {
            let data =
                json!({"item_id": id, "output_index": place, "content_index": 0, "part": content_part("")});
            push(out, "response.content_part.added", data);
        }
    }

    fn template(&self, part: Part, script: &Script) -> Template {
        let (id, place) = (self.item_id(part), place(part, script));
        let (name, fields, delta, after) = match part {
            Part::Thinking => {
                ("response.reasoning_summary_text.delta", r#","summary_index":0"#, String::new(), "")
            }
            Part::Content => {
                ("response.output_text.delta", r#","content_index":0"#, String::new(), r#","logprobs":[]"#)
            }
            Part::ToolCall => {
                let arguments = super::quoted(script.arguments());
                (
                    "response.function_call_arguments.delta",
                    "",
                    arguments[1..arguments.len() - 1].to_owned(),
                    "",
                )
            }
        };
        Template {
            before: format!("event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":"),
            mark: Mark::Sequence,
            between: format!(r#","item_id":"{id}","output_index":{place}{fields},"delta":"{delta}"#),
            after: format!("\"{after}}}\n\n"),
        }
    }

    fn leave(&self, part: Part, script: &Script, out: &mut Frames) {
        let (id, place, text) = (self.item_id(part), place(part, script), script.text(part));
        match part {
            Part::Thinking => push(
                out,
                "response.reasoning_summary_text.done",
                json!({"item_id": id, "output_index": place, "summary_index": 0, "text": text}),
            ),
            Part::Content => {
                let data = json!({
                    "item_id": id, "output_index": place, "content_index": 0, "text": text, "logprobs": [],
                });
                push(out, "response.output_text.done", data);
                let data = json!({
                    "item_id": id, "output_index": place, "content_index": 0, "part": content_part(&text),
                });
                push(out, "response.content_part.done", data);
            }
            Part::ToolCall => push(
                out,
                "response.function_call_arguments.done",
                json!({"item_id": id, "output_index": place, "arguments": script.arguments()}),
            ),
        }
        let item = self.item(part, script);
        push(out, "response.output_item.done", json!({"output_index": place, "item": item}));
    }

    fn close(&self, ending: &Ending, out: &mut Frames) {
        let output = parts(&ending.script).into_iter().map(|part| self.item(part, &ending.script)).collect();
        push(out, "response.completed", json!({"response": self.object("completed", output, Some(ending))}));
    }

    fn whole(&self, ending: &Ending) -> String {
        let output = parts(&ending.script).into_iter().map(|part| self.item(part, &ending.script)).collect();
        self.object("completed", output, Some(ending)).to_string() + "\n"
    }
}
