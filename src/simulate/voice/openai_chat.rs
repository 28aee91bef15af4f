//! `/v1/chat/completions`: events, `[DONE]` at the end.

use super::super::frames::{Frames, Template};
use super::super::script::{Part, Reason, Script};
use super::super::stamp::unix_now;
use super::{Ending, Voice, quoted};

pub(super) struct OpenAiChat {
    id: u32,
    created: u64,
    /// As JSON.
    model: String,
    include_usage: bool,
}

impl OpenAiChat {
    pub(super) fn new(model: &str, id: u32, include_usage: bool) -> Self {
        Self { id, created: unix_now().as_secs(), model: quoted(model), include_usage }
    }

    fn head(&self, object: &str) -> String {
        let Self { id, created, model, .. } = self;
        format!(
            r#"{{"id":"chatcmpl-{id}","object":"{object}","created":{created},"model":{model},"system_fingerprint":"fp_ollama""#
        )
    }

    fn chunk(&self) -> String {
        format!("data: {}", self.head("chat.completion.chunk"))
    }

    fn delta(&self) -> String {
        self.chunk() + r#","choices":[{"index":0,"delta":{"#
    }

    fn call(&self, script: &Script) -> String {
        let name = quoted(script.tool().unwrap_or_default());
        let (id, arguments) = (self.id, quoted(script.arguments()));
        format!(
            r#"{{"id":"call_{id:08}","index":0,"type":"function","function":{{"name":{name},"arguments":{arguments}}}}}"#
        )
    }
}

fn reason(script: &Script) -> &'static str {
    match script.reason() {
        Reason::Stop => "stop",
        Reason::Length => "length",
        Reason::ToolCall => "tool_calls",
    }
}

/// Usage as both completions of OpenAI write it.
pub(super) fn usage(ending: &Ending) -> String {
    format!(
        r#""usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}}}"#,
        ending.prompt_tokens,
        ending.script.tokens(),
        ending.total_tokens(),
    )
}

impl Voice for OpenAiChat {
    fn template(&self, part: Part, script: &Script) -> Template {
        let role = r#""role":"assistant","content":""#;
        let (between, closing) = match part {
            Part::Thinking => (format!(r#"{role}","reasoning":""#), r#"""#),
            Part::Content => (role.into(), r#"""#),
            Part::ToolCall => (format!(r#"{role}","tool_calls":[{}"#, self.call(script)), "]"),
        };
        Template {
            before: self.delta(),
            between,
            after: format!("{closing}}},\"finish_reason\":null}}]}}\n\n"),
            ..Template::default()
        }
    }

    fn close(&self, ending: &Ending, out: &mut Frames) {
        out.push(&format!("{}}},\"finish_reason\":\"{}\"}}]}}\n\n", self.delta(), reason(&ending.script)));
        if self.include_usage {
            out.push(&format!("{},\"choices\":[],{}}}\n\n", self.chunk(), usage(ending)));
        }
        out.push("data: [DONE]\n\n");
    }

    fn whole(&self, ending: &Ending) -> String {
        let script = &ending.script;
        let mut message = format!(r#""role":"assistant","content":{}"#, quoted(&script.text(Part::Content)));
        let thinking = script.text(Part::Thinking);
        if !thinking.is_empty() {
            message += &format!(r#","reasoning":{}"#, quoted(&thinking));
        }
        if script.tool().is_some() {
            message += &format!(r#","tool_calls":[{}]"#, self.call(script));
        }
        format!(
            "{},\"choices\":[{{\"index\":0,\"message\":{{{message}}},\"finish_reason\":\"{}\"}}],{}}}\n",
            self.head("chat.completion"),
            reason(script),
            usage(ending),
        )
    }
}
