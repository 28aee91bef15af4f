//! `/api/generate`: NDJSON lines. It has no tools.

use super::super::frames::{Frames, Mark, Template};
use super::super::script::{Part, Reason, Script};
use super::super::stamp::{rfc3339, unix_now};
use super::{Ending, FAILURE, Voice, quoted};

pub(super) struct Generate {
    /// The name, as JSON.
    model: String,
    /// Whether the prompt was used without a template. Then the response contains no context.
    raw: bool,
}

impl Generate {
    pub(super) fn new(model: &str, raw: bool) -> Self {
        Self { model: quoted(model), raw }
    }

    fn head(&self) -> String {
        format!(r#"{{"model":{},"created_at":""#, self.model)
    }

    fn done(&self, thinking: &str, response: &str, ending: &Ending) -> String {
        let thinking =
            if thinking.is_empty() { String::new() } else { format!(r#","thinking":{}"#, quoted(thinking)) };
        let reason = if ending.script.reason() == Reason::Length { "length" } else { "stop" };
        let context = if self.raw { "" } else { r#","context":[1,2,3]"# };
        format!(
            r#"{}{}","response":{}{thinking},"done":true,"done_reason":"{reason}"{context}{}}}"#,
            self.head(),
            rfc3339(unix_now()),
            quoted(response),
            ending.metrics(),
        )
    }
}

impl Voice for Generate {
    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn whole_type(&self) -> &'static str {
        "application/json; charset=utf-8"
    }

    fn template(&self, part: Part, _first: bool, _script: &Script) -> Template {
        let between = match part {
            Part::Thinking => r#"","response":"","thinking":""#,
            _ => r#"","response":""#,
        };
        let after = "\",\"done\":false}\n".into();
        Template { before: self.head(), mark: Mark::Stamp, between: between.into(), after }
    }

    fn close(&self, _first: bool, ending: &Ending, out: &mut Frames) {
        out.write(&(self.done("", "", ending) + "\n"));
    }

    fn fail(&self, out: &mut Frames) {
        out.push(&format!("{{\"error\":\"{FAILURE}\"}}\n"));
    }

    fn garbage(&self) -> &'static str {
        "this is {not JSON\n"
    }

    fn whole(&self, ending: &Ending) -> String {
        let script = &ending.script;
        self.done(&script.text(Part::Thinking), &script.text(Part::Content), ending)
    }
}
