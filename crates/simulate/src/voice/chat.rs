//! `/api/chat`: NDJSON lines.

use std::ops::Range;

use super::super::frames::{Frames, Mark, Template};
use super::super::script::{Part, Reason, Script};
use super::super::stamp::{rfc3339, unix_now};
use super::{Ending, FAILURE, Voice, quoted};

pub(super) struct Chat {
    /// The name, as JSON.
    model: String,
}

impl Chat {
    pub(super) fn new(model: &str) -> Self {
        Self { model: quoted(model) }
    }

    fn head(&self) -> String {
        format!(r#"{{"model":{},"created_at":""#, self.model)
    }

    /// Returns the field of a message, with the comma before it. Without calls there is no field.
    fn calls_field(ending: &Ending, calls: Range<usize>) -> String {
        let calls: Vec<_> = ending
            .calls(calls)
            .map(|call| {
                let (id, index, name) = (call.id, call.index, quoted(call.name));
                let arguments = call.arguments;
                format!(
                    r#"{{"id":"{id}","function":{{"index":{index},"name":{name},"arguments":{arguments}}}}}"#
                )
            })
            .collect();
        if calls.is_empty() { String::new() } else { format!(r#","tool_calls":[{}]"#, calls.join(",")) }
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

    fn template(&self, part: Part, _first: bool, _script: &Script) -> Template {
        let message = r#"","message":{"role":"assistant","content":""#;
        let between =
            if part == Part::Thinking { format!(r#"{message}","thinking":""#) } else { message.into() };
        Template { before: self.head(), mark: Mark::Stamp, between, after: "\"},\"done\":false}\n".into() }
    }

    fn calls(&self, calls: Range<usize>, _first: bool, ending: &Ending, out: &mut Frames) {
        let (head, now, calls) = (self.head(), rfc3339(unix_now()), Self::calls_field(ending, calls));
        out.write(&format!(
            "{head}{now}\",\"message\":{{\"role\":\"assistant\",\"content\":\"\"{calls}}},\"done\":false}}\n"
        ));
    }

    fn closes_with_cut_call(&self) -> bool {
        true
    }

    fn close(&self, _first: bool, ending: &Ending, out: &mut Frames) {
        let calls = Self::calls_field(ending, ending.last_calls());
        let message = format!(r#""content":{}{calls}"#, quoted(&ending.cut_call()));
        out.write(&(self.done(&message, ending) + "\n"));
    }

    fn restart(&self, out: &mut Frames) {
        let (head, now) = (self.head(), rfc3339(unix_now()));
        out.write(&format!(
            "{head}{now}\",\"message\":{{\"role\":\"assistant\",\"content\":\"\"}},\"done\":false}}\n"
        ));
    }

    fn fail(&self, out: &mut Frames) {
        out.push(&format!("{{\"error\":\"{FAILURE}\"}}\n"));
    }

    fn garbage(&self) -> &'static str {
        "this is {not JSON\n"
    }

    fn whole(&self, ending: &Ending) -> String {
        let mut message = format!(r#""content":{}"#, quoted(&ending.content()));
        let thinking = ending.script.text(Part::Thinking);
        if !thinking.is_empty() {
            message += &format!(r#","thinking":{}"#, quoted(&thinking));
        }
        message += &Self::calls_field(ending, ending.all_calls());
        self.done(&message, ending)
    }
}
