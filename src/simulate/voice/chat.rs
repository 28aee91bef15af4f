//! `/api/chat`: lines.

use super::super::frames::{Frames, Mark, Template};
use super::super::script::{Part, Reason, Script};
use super::super::stamp::{rfc3339, unix_now};
use super::{Ending, FAILURE, Voice, quoted};

pub(super) struct Chat {
    /// As JSON.
    model: String,
    id: u32,
}

impl Chat {
    pub(super) fn new(model: &str, id: u32) -> Self {
        Self { model: quoted(model), id }
    }

    fn head(&self) -> String {
        format!(r#"{{"model":{},"created_at":""#, self.model)
    }

    fn call(&self, script: &Script) -> String {
        let name = quoted(script.tool().unwrap_or_default());
        let (id, arguments) = (self.id, script.arguments());
        format!(r#"{{"id":"call_{id:08}","function":{{"index":0,"name":{name},"arguments":{arguments}}}}}"#)
    }

    fn done(&self, message: &str, ending: &Ending) -> String {
        let reason = if ending.script.reason() == Reason::Length { "length" } else { "stop" };
        format!(
            r#"{}{}","message":{{"role":"assistant",{message}}},"done":true,"done_reason":"{reason}"{}}}"#,
            self.head(),
            rfc3339(unix_now()),
            ending.metrics(),
        )
    }
}

impl Voice for Chat {
    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn whole_type(&self) -> &'static str {
        "application/json; charset=utf-8"
    }

    fn template(&self, part: Part, script: &Script) -> Template {
        let message = r#"","message":{"role":"assistant","content":""#;
        let (between, after) = match part {
            Part::Thinking => (format!(r#"{message}","thinking":""#), "\"},\"done\":false}\n"),
            Part::Content => (message.into(), "\"},\"done\":false}\n"),
            Part::ToolCall => {
                (format!(r#"{message}","tool_calls":[{}"#, self.call(script)), "]},\"done\":false}\n")
            }
        };
        Template { before: self.head(), mark: Mark::Stamp, between, after: after.into() }
    }

    fn close(&self, ending: &Ending, out: &mut Frames) {
        out.push(&(self.done(r#""content":"""#, ending) + "\n"));
    }

    fn fail(&self, out: &mut Frames) {
        out.push(&format!("{{\"error\":\"{FAILURE}\"}}\n"));
    }

    fn garbage(&self) -> &'static str {
        "this is {not JSON\n"
    }

    fn whole(&self, ending: &Ending) -> String {
        let script = &ending.script;
        let mut message = format!(r#""content":{}"#, quoted(&script.text(Part::Content)));
        let thinking = script.text(Part::Thinking);
        if !thinking.is_empty() {
            message += &format!(r#","thinking":{}"#, quoted(&thinking));
        }
        if script.tool().is_some() {
            message += &format!(r#","tool_calls":[{}]"#, self.call(script));
        }
        self.done(&message, ending)
    }
}
