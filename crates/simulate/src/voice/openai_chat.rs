//! `/v1/chat/completions`: events, ended by `[DONE]`.

use std::ops::Range;

use super::super::ask::Ask;
use super::super::frames::{Frames, Template};
use super::super::script::{Part, Reason, Script};
use super::super::stamp::unix_now;
use super::super::version::OllamaVersion;
use super::{Ending, Voice, quoted};

pub(super) struct OpenAiChat {
    id: u64,
    created: u64,
    /// The name, as JSON.
    model: String,
    include_usage: bool,
    version: OllamaVersion,
}

impl OpenAiChat {
    pub(super) fn new(version: OllamaVersion, ask: &Ask, id: u64) -> Self {
        let created = unix_now().as_secs();
        Self { id: id % 999, created, model: quoted(&ask.model), include_usage: ask.include_usage, version }
    }

    fn head(&self, object: &str, model: &str) -> String {
        let Self { id, created, .. } = self;
        format!(
            r#"{{"id":"chatcmpl-{id}","object":"{object}","created":{created},"model":{model},"system_fingerprint":"fp_ollama""#
        )
    }

    fn chunk(&self) -> String {
        format!("data: {}", self.head("chat.completion.chunk", &self.model))
    }

    fn delta(&self) -> String {
        self.chunk() + r#","choices":[{"index":0,"delta":{"#
    }

    /// Before 0.30 every delta has a role. Since then only the first one has it.
    fn role(&self, first: bool) -> &'static str {
        if first || !self.version.runs_llama_server() { r#""role":"assistant","# } else { "" }
    }

    /// Sends a chunk with this content and these calls.
    fn say(&self, content: &str, calls: &str, first: bool, out: &mut Frames) {
        let (delta, role, content) = (self.delta(), self.role(first), quoted(content));
        out.write(&format!("{delta}{role}\"content\":{content}{calls}}},\"finish_reason\":null}}]}}\n\n"));
    }
}

/// Returns the field of a delta or message, with the comma before it. Without calls there is no field.
fn calls_field(ending: &Ending, calls: Range<usize>) -> String {
    let calls: Vec<_> = ending
        .calls(calls)
        .map(|call| {
            let (id, index) = (call.id, call.index);
            let (name, arguments) = (quoted(call.name), quoted(call.arguments));
            format!(
                r#"{{"id":"{id}","index":{index},"type":"function","function":{{"name":{name},"arguments":{arguments}}}}}"#
            )
        })
        .collect();
    if calls.is_empty() { String::new() } else { format!(r#","tool_calls":[{}]"#, calls.join(",")) }
}

/// 0.12 reports `tool_calls` even if the limit came after a call.
fn reason(ending: &Ending) -> &'static str {
    let called = !ending.script.calls().is_empty();
    match ending.script.reason() {
        Reason::Length if !called || ending.version.runs_llama_server() => "length",
        Reason::Stop if !called => "stop",
        _ => "tool_calls",
    }
}

/// Writes the usage in the format of both OpenAI completions.
pub(super) fn usage(ending: &Ending) -> String {
    let details = match ending.split_prompt() {
        (_, Some(cached)) => format!(r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#),
        _ => String::new(),
    };
    format!(
        r#""usage":{{"prompt_tokens":{}{details},"completion_tokens":{},"total_tokens":{}}}"#,
        ending.prompt_tokens,
        ending.eval_count(),
        ending.total_tokens(),
    )
}

impl Voice for OpenAiChat {
    fn template(&self, part: Part, first: bool, _script: &Script) -> Template {
        let content = format!(r#"{}"content":""#, self.role(first));
        Template {
            before: self.delta(),
            between: if part == Part::Thinking { content + r#"","reasoning":""# } else { content },
            after: "\"},\"finish_reason\":null}]}\n\n".into(),
            ..Template::default()
        }
    }

    fn calls(&self, calls: Range<usize>, first: bool, ending: &Ending, out: &mut Frames) {
        self.say("", &calls_field(ending, calls), first, out);
    }

    fn closes_with_cut_call(&self) -> bool {
        true
    }

    fn close(&self, first: bool, ending: &Ending, out: &mut Frames) {
        let (calls, cut) = (calls_field(ending, ending.last_calls()), ending.cut_call());
        let reason = reason(ending);
        let last = if !self.version.runs_llama_server() {
            format!(r#"{}"content":{}"#, self.role(false), quoted(&cut))
        } else {
            if first || !calls.is_empty() || !cut.is_empty() {
                self.say(&cut, &calls, first, out);
            }
            String::new()
        };
        out.write(&format!("{}{last}}},\"finish_reason\":\"{reason}\"}}]}}\n\n", self.delta()));
        if self.include_usage {
            out.write(&format!("{},\"choices\":[],{}}}\n\n", self.chunk(), usage(ending)));
        }
        out.write("data: [DONE]\n\n");
    }

    fn restart(&self, out: &mut Frames) {
        self.say("", "", false, out);
    }

    fn fail(&self, out: &mut Frames) {
        let (head, role) = (self.head("chat.completion.chunk", r#""""#), self.role(false));
        out.push(&format!(
            "data: {head},\"choices\":[{{\"index\":0,\"delta\":{{{role}\"content\":\"\"}},\"finish_reason\":null}}]}}\n\n"
        ));
    }

    fn whole(&self, ending: &Ending) -> String {
        let mut message = format!(r#""role":"assistant","content":{}"#, quoted(&ending.content()));
        let thinking = ending.script.text(Part::Thinking);
        if !thinking.is_empty() {
            message += &format!(r#","reasoning":{}"#, quoted(&thinking));
        }
        message += &calls_field(ending, ending.all_calls());
        format!(
            "{},\"choices\":[{{\"index\":0,\"message\":{{{message}}},\"finish_reason\":\"{}\"}}],{}}}\n",
            self.head("chat.completion", &self.model),
            reason(ending),
            usage(ending),
        )
    }
}
