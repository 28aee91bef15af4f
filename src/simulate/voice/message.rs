//! `/v1/messages`: events in blocks, `message_stop` at the end.

use super::super::frames::{Frames, Template};
use super::super::script::{Part, Reason, Script};
use super::{Ending, Voice, quoted};

pub(super) struct Message {
    id: u32,
    /// As JSON.
    model: String,
}

impl Message {
    pub(super) fn new(model: &str, id: u32) -> Self {
        Self { id, model: quoted(model) }
    }

    fn head(&self) -> String {
        let Self { id, model } = self;
        format!(r#"{{"id":"msg_{id:06}","type":"message","role":"assistant","model":{model},"content":["#)
    }

    fn tool(&self, script: &Script, input: &str) -> String {
        let name = quoted(script.tool().unwrap_or_default());
        format!(r#"{{"type":"tool_use","id":"toolu_{:08}","name":{name},"input":{input}}}"#, self.id)
    }
}

/// Which block a part is.
fn block(part: Part, script: &Script) -> u32 {
    let mut block = 0;
    let mut last = script.part(0);
    for index in 0..script.tokens() {
        let current = script.part(index);
        block += u32::from(current != last);
        last = current;
        if current == part {
            break;
        }
    }
    block
}

fn reason(script: &Script) -> &'static str {
    match script.reason() {
        Reason::Stop => "end_turn",
        Reason::Length => "max_tokens",
        Reason::ToolCall => "tool_use",
    }
}

fn event(name: &str, fields: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{fields}}}\n\n")
}

impl Voice for Message {
    fn keeps_alive(&self) -> bool {
        true
    }

    fn open(&self, ending: &Ending, out: &mut Frames) {
        let message = format!(
            r#"{}],"usage":{{"input_tokens":{},"output_tokens":0}}}}"#,
            self.head(),
            ending.prompt_tokens
        );
        out.push(&event("message_start", &format!(r#","message":{message}"#)));
    }

    fn enter(&self, part: Part, script: &Script, out: &mut Frames) {
        let content = match part {
            Part::Thinking => r#"{"type":"thinking","thinking":""}"#.into(),
            Part::Content => r#"{"type":"text","text":""}"#.into(),
            Part::ToolCall => self.tool(script, "{}"),
        };
        let index = block(part, script);
        out.push(&event("content_block_start", &format!(r#","index":{index},"content_block":{content}"#)));
    }

    fn template(&self, part: Part, script: &Script) -> Template {
        let (delta, closing) = match part {
            Part::Thinking => (r#""thinking_delta","thinking":""#.into(), r#"""#),
            Part::Content => (r#""text_delta","text":""#.into(), r#"""#),
            Part::ToolCall => {
                (format!(r#""input_json_delta","partial_json":{}"#, quoted(script.arguments())), "")
            }
        };
        let index = block(part, script);
        Template {
            before: format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":{delta}"
            ),
            after: format!("{closing}}}}}\n\n"),
            ..Template::default()
        }
    }

    fn leave(&self, part: Part, script: &Script, out: &mut Frames) {
        out.push(&event("content_block_stop", &format!(r#","index":{}"#, block(part, script))));
    }

    fn close(&self, ending: &Ending, out: &mut Frames) {
        out.push(&event(
            "message_delta",
            &format!(
                r#","delta":{{"stop_reason":"{}"}},"usage":{{"input_tokens":{},"output_tokens":{}}}"#,
                reason(&ending.script),
                ending.prompt_tokens,
                ending.script.tokens(),
            ),
        ));
        out.push(&event("message_stop", ""));
    }

    fn whole(&self, ending: &Ending) -> String {
        let script = &ending.script;
        let mut blocks = Vec::new();
        let (thinking, text) = (script.text(Part::Thinking), script.text(Part::Content));
        if !thinking.is_empty() {
            blocks.push(format!(r#"{{"type":"thinking","thinking":{}}}"#, quoted(&thinking)));
        }
        if !text.is_empty() {
            blocks.push(format!(r#"{{"type":"text","text":{}}}"#, quoted(&text)));
        }
        if script.tool().is_some() {
            blocks.push(self.tool(script, script.arguments()));
        }
        format!(
            "{}{}],\"stop_reason\":\"{}\",\"usage\":{{\"input_tokens\":{},\"output_tokens\":{}}}}}\n",
            self.head(),
            blocks.join(","),
            reason(script),
            ending.prompt_tokens,
            script.tokens(),
        )
    }
}
