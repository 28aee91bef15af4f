//! `/v1/completions`: events, ended by `[DONE]`. If usage is requested, every chunk except the last one carries
//! zeros.

use super::super::ask::Ask;
use super::super::frames::{Frames, Template};
use super::super::script::{Part, Reason, Script};
use super::super::stamp::unix_now;
use super::openai_chat::usage;
use super::{Ending, Voice, quoted};

pub(super) struct Completion {
    id: u64,
    created: u64,
    /// The name, as JSON.
    model: String,
    include_usage: bool,
}

impl Completion {
    pub(super) fn new(ask: &Ask, id: u64) -> Self {
        let created = unix_now().as_secs();
        Self { id: id % 999, created, model: quoted(&ask.model), include_usage: ask.include_usage }
    }

    fn head(&self, choices: &str) -> String {
        let Self { id, created, .. } = self;
        format!(r#"{{"id":"cmpl-{id}","object":"text_completion","created":{created},"choices":[{choices}"#)
    }

    fn tail(&self, model: &str) -> String {
        let usage = if self.include_usage {
            r#","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#
        } else {
            ""
        };
        format!(r#"],"model":{model},"system_fingerprint":"fp_ollama"{usage}}}"#)
    }
}

fn reason(script: &Script) -> &'static str {
    if script.reason() == Reason::Length { "length" } else { "stop" }
}

impl Voice for Completion {
    fn template(&self, _part: Part, _first: bool, _script: &Script) -> Template {
        Template {
            before: format!("data: {}", self.head(r#"{"text":""#)),
            after: format!("\",\"index\":0,\"finish_reason\":null}}{}\n\n", self.tail(&self.model)),
            ..Template::default()
        }
    }

    fn close(&self, _first: bool, ending: &Ending, out: &mut Frames) {
        let choice = format!(r#"{{"text":"","index":0,"finish_reason":"{}"}}"#, reason(&ending.script));
        out.write(&format!("data: {}{}\n\n", self.head(&choice), self.tail(&self.model)));
        if self.include_usage {
            let model = &self.model;
            out.write(&format!(
                "data: {}],\"model\":{model},\"system_fingerprint\":\"fp_ollama\",{}}}\n\n",
                self.head(""),
                usage(ending)
            ));
        }
        out.write("data: [DONE]\n\n");
    }

    fn fail(&self, out: &mut Frames) {
        let (head, tail) = (self.head(r#"{"text":"","index":0,"finish_reason":null}"#), self.tail(r#""""#));
        out.push(&format!("data: {head}{tail}\n\n"));
    }

    fn whole(&self, ending: &Ending) -> String {
        let script = &ending.script;
        let Self { id, created, model, .. } = self;
        format!(
            "{{\"id\":\"cmpl-{id}\",\"object\":\"text_completion\",\"created\":{created},\"model\":{model},\
             \"system_fingerprint\":\"fp_ollama\",\"choices\":[{{\"text\":{},\"index\":0,\"finish_reason\":\"{}\"}}],{}}}\n",
            quoted(&script.text(Part::Content)),
            reason(script),
            usage(ending),
        )
    }
}
