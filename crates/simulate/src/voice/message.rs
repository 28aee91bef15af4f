//! `/v1/messages`: events in blocks, ended by `message_stop`.

use std::ops::Range;

use super::super::frames::{Frames, Template};
use super::super::script::{Part, Reason, Script};
use super::super::seed::Seed;
use super::{Call, Ending, Voice, quoted};

pub(super) struct Message {
    /// The name, as JSON.
    model: String,
    id: String,
}

impl Message {
    pub(super) fn new(model: &str, seed: Seed) -> Self {
        let mut id = seed.digest();
        id.truncate(24);
        Self { model: quoted(model), id }
    }

    fn head(&self) -> String {
        let Self { id, model } = self;
        format!(r#"{{"id":"msg_{id}","type":"message","role":"assistant","model":{model},"content":["#)
    }
}

fn tool_use(call: &Call<'_>, input: &str) -> String {
    let (id, name) = (&call.id, quoted(call.name));
    format!(r#"{{"type":"tool_use","id":"{id}","name":{name},"input":{input}}}"#)
}

/// Returns the number of blocks before the block of a part. Thinking comes first, then text, then one block per call.
/// The rest of a call that was cut by the limit is text after the other blocks.
fn block(part: Part, script: &Script) -> usize {
    let has = |part| (0..script.told()).any(|index| script.part(index) == part);
    let thinking = usize::from(has(Part::Thinking));
    match part {
        Part::Thinking => 0,
        Part::Content if has(Part::Content) => thinking,
        Part::Content => thinking + script.calls().len(),
        Part::ToolCall => thinking + usize::from(has(Part::Content)),
    }
}

fn reason(script: &Script) -> &'static str {
    match script.reason() {
        _ if !script.calls().is_empty() => "tool_use",
        Reason::Stop => "end_turn",
        Reason::Length => "max_tokens",
    }
}

fn usage(input: u32, cached: Option<u32>, output: u32) -> String {
    let cached = cached.map_or_else(String::new, |cached| format!(r#""cache_read_input_tokens":{cached},"#));
    format!(r#""usage":{{"input_tokens":{input},{cached}"output_tokens":{output}}}"#)
}

fn event(name: &str, fields: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{fields}}}\n\n")
}

impl Voice for Message {
    fn keeps_alive(&self) -> bool {
        true
    }

    fn open(&self, done: bool, ending: &Ending, out: &mut Frames) {
        let (input, cached) = if done { ending.split_prompt() } else { (ending.estimate, None) };
        let message = format!(r#"{}],{}}}"#, self.head(), usage(input, cached, 0));
        out.push(&event("message_start", &format!(r#","message":{message}"#)));
    }

    fn enter(&self, part: Part, script: &Script, out: &mut Frames) {
        let content = match part {
            Part::Thinking => r#"{"type":"thinking","thinking":""}"#,
            _ => r#"{"type":"text","text":""}"#,
        };
        let index = block(part, script);
        out.push(&event("content_block_start", &format!(r#","index":{index},"content_block":{content}"#)));
    }

    fn template(&self, part: Part, _first: bool, script: &Script) -> Template {
        let delta = match part {
            Part::Thinking => r#""thinking_delta","thinking":""#,
            _ => r#""text_delta","text":""#,
        };
        let index = block(part, script);
        Template {
            before: format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":{delta}"
            ),
            after: "\"}}\n\n".into(),
            ..Template::default()
        }
    }

    fn leave(&self, part: Part, script: &Script, out: &mut Frames) {
        out.push(&event("content_block_stop", &format!(r#","index":{}"#, block(part, script))));
    }

    fn calls(&self, calls: Range<usize>, _first: bool, ending: &Ending, out: &mut Frames) {
        for call in ending.calls(calls) {
            let index = block(Part::ToolCall, &ending.script) + call.index;
            let (started, arguments) = (tool_use(&call, "{}"), quoted(call.arguments));
            let delta = format!(r#"{{"type":"input_json_delta","partial_json":{arguments}}}"#);
            out.push(&event(
                "content_block_start",
                &format!(r#","index":{index},"content_block":{started}"#),
            ));
            out.push(&event("content_block_delta", &format!(r#","index":{index},"delta":{delta}"#)));
            out.push(&event("content_block_stop", &format!(r#","index":{index}"#)));
        }
    }

    fn close(&self, first: bool, ending: &Ending, out: &mut Frames) {
        self.calls(ending.last_calls(), first, ending, out);
        let (input, cached) = ending.split_prompt();
        let (reason, usage) = (reason(&ending.script), usage(input, cached, ending.eval_count()));
        out.push(&event("message_delta", &format!(r#","delta":{{"stop_reason":"{reason}"}},{usage}"#)));
        out.push(&event("message_stop", ""));
    }

    fn whole(&self, ending: &Ending) -> String {
        let script = &ending.script;
        let mut blocks = Vec::new();
        let (thinking, text) = (script.text(Part::Thinking), ending.content());
        if !thinking.is_empty() {
            blocks.push(format!(r#"{{"type":"thinking","thinking":{}}}"#, quoted(&thinking)));
        }
        if !text.is_empty() {
            blocks.push(format!(r#"{{"type":"text","text":{}}}"#, quoted(&text)));
        }
        blocks.extend(ending.calls(ending.all_calls()).map(|call| tool_use(&call, call.arguments)));
        let (input, cached) = ending.split_prompt();
        format!(
            "{}{}],\"stop_reason\":\"{}\",{}}}\n",
            self.head(),
            blocks.join(","),
            reason(script),
            usage(input, cached, ending.eval_count()),
        )
    }
}
