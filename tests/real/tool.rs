//! A model that calls a tool, by each of the ways in which Ollama renders a chat.

use serde_json::{Value, json};

use super::{answer::post, ollama::Ollama};

/// What [`create`] makes.
pub(crate) const CALLER: &str = "tooled";

/// Which program renders a chat and finds the tool calls in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatPath {
    /// Ollama, by the model's TEMPLATE.
    GoTemplate,
    /// llama-server, by the chat template in the model's file. 0.12 has no such path.
    Native,
}

/// Two examples lead so small a model to call one.
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

/// Makes [`CALLER`] anew.
pub(crate) fn create(ollama: &Ollama, path: ChatPath) {
    // Ollama has parsed a call before its closing tag, at which the model would go on; llama-server wants the tag.
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

/// The one tool, as every dialect but Anthropic's has it.
pub(crate) fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}])
}

/// That tool for `/v1/messages`.
pub(crate) fn anthropic_tools() -> Value {
    let function = &tools()[0]["function"];
    json!([{"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}])
}

/// A question that the tool answers.
pub(crate) fn question() -> Value {
    json!([{"role": "user", "content": "What is the weather in Paris?"}])
}
