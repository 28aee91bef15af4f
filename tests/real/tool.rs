//! A model that calls a tool, in each of the ways in which Ollama renders a chat.

use serde_json::{Value, json};

use super::{answer::post, ollama::Ollama};

/// The name of the model that [`create`] creates.
pub(crate) const CALLER: &str = "tooled";

/// The program that renders a chat and finds the tool calls in its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatPath {
    /// Ollama, with the model's TEMPLATE.
    GoTemplate,
    /// llama-server, with the chat template in the model's file. 0.12 cannot do this.
    Native,
}

/// Two examples make this small model call a tool.
const TEMPLATE: &str = r#"{{- if .Tools }}<start_of_turn>user
What is the weather in Rome?<end_of_turn>
<start_of_turn>model
<tool_call>
{"name": "get_weather", "arguments": {"city": "Rome"}}
</tool_call><end_of_turn>
<start_of_turn>user
What is the weather in Oslo?<end_of_turn>
<start_of_turn>model
<tool_call>
{"name": "get_weather", "arguments": {"city": "Oslo"}}
</tool_call><end_of_turn>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if or (eq .Role "user") (eq .Role "system") (eq .Role "tool") }}<start_of_turn>user
{{ .Content }}<end_of_turn>
{{ if $last }}<start_of_turn>model
{{ end }}
{{- else if eq .Role "assistant" }}<start_of_turn>model
{{ .Content }}
{{- if .ToolCalls }}{{ range .ToolCalls }}<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>{{ end }}{{ end }}{{ if not $last }}<end_of_turn>
{{ end }}
{{- end }}
{{- end }}"#;

/// Creates [`CALLER`] again.
pub(crate) fn create(ollama: &Ollama, path: ChatPath) {
    // Ollama parses a call before its closing tag, after which the model would continue. llama-server needs the
    // tag.
    let (mut create, stop) = match path {
        ChatPath::GoTemplate => (json!({"from": "gemma3:270m", "template": TEMPLATE}), "</tool_call>"),
        ChatPath::Native => (json!({"from": "gemma3:270m-tools"}), "<end_of_turn>"),
    };
    create["model"] = CALLER.into();
    create["stream"] = false.into();
    create["parameters"] = json!({
        "num_thread": 1, "num_ctx": 2048, "num_predict": 60, "seed": 1, "temperature": 0, "stop": [stop],
    });
    assert_eq!(post(&ollama.url, "/api/create", &create).json()["status"], "success");
}

/// The tool in the format of every dialect except Anthropic's.
pub(crate) fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}])
}

/// The tool for `/v1/messages`.
pub(crate) fn anthropic_tools() -> Value {
    let function = &tools()[0]["function"];
    json!([{"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}])
}

/// A question that the tool answers.
pub(crate) fn question() -> Value {
    json!([{"role": "user", "content": "What is the weather in Paris?"}])
}
