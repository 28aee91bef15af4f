//! The contents of a request to generate, in any dialect.

use std::time::Duration;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::seed::Seed;

/// How long a model stays in memory after its last use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepAlive {
    For(Duration),
    Forever,
}

/// A request to generate.
#[derive(Debug)]
pub(super) struct Ask {
    /// The name as the client wrote it. Answers and errors repeat it.
    pub(super) model: String,
    pub(super) is_chat: bool,
    /// An estimate: four tokens per three words.
    pub(super) prompt_tokens: u32,
    pub(super) messages: Vec<PromptMessage>,
    /// A seed that represents the whole prompt.
    pub(super) prompt: Seed,
    /// The prompt is empty: the request loads or unloads the model.
    pub(super) empty: bool,
    pub(super) stream: bool,
    pub(super) think: bool,
    /// The names of the tools that the model may call.
    pub(super) tools: Vec<String>,
    /// The estimate of the prompt that `/v1/messages` reports before it is counted: one token per four bytes.
    pub(super) estimate: u32,
    pub(super) limit: Option<u32>,
    /// `num_ctx`
    pub(super) context: Option<u32>,
    pub(super) num_keep: Option<u32>,
    /// Whether a part of the prompt that does not fit into the context may be left out.
    pub(super) truncate: bool,
    /// Whether the context may shift when it is full.
    pub(super) shift: bool,
    pub(super) format: Format,
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) include_usage: bool,
}

/// The format that the answer must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Any,
    /// JSON, with or without a schema.
    Json,
    /// Neither `json` nor a schema.
    Unknown,
}

impl KeepAlive {
    pub(super) const DEFAULT: Self = Self::For(Duration::from_secs(300));
    pub(super) const NONE: Self = Self::For(Duration::ZERO);

    /// Reads a number of seconds, or a duration in Go's notation. A negative value means forever.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::seconds(number.as_f64()?)),
            Value::String(text) => go_duration(text).map(Self::seconds),
            _ => None,
        }
    }

    fn seconds(seconds: f64) -> Self {
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) => Self::For(duration),
            Err(_) => Self::Forever,
        }
    }
}

impl Ask {
    /// Reads a body. If the body cannot be read because it is compressed, the model is `default_model`.
    pub(super) fn read(endpoint: Endpoint, body: &Value, default_model: &str) -> Self {
        let native = matches!(endpoint, Endpoint::Generate | Endpoint::Chat);
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let flag = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(true);
        let option = |key: &str| {
            let value = body.get("options")?.get(key)?.as_u64()?;
            u32::try_from(value).ok()
        };
        let words = Words::of(endpoint, body);
        let unread = if body.is_null() { default_model } else { "" };
        Self {
            model: text("model").or_else(|| text("name")).unwrap_or(unread).to_owned(),
            is_chat: endpoint.is_chat(),
            prompt_tokens: tokens(words.count).max(1),
            prompt: words.seed,
            context: option("num_ctx").filter(|context| *context > 0),
            num_keep: option("num_keep"),
            truncate: flag("truncate"),
            shift: flag("shift"),
            format: format(body),
            empty: native && words.is_empty,
            messages: words.messages,
            stream: endpoint != Endpoint::Compact
                && body.get("stream").and_then(Value::as_bool).unwrap_or(native),
            think: endpoint != Endpoint::OpenAiCompletions && thinks(body),
            tools: if endpoint.is_chat() { tools(body) } else { Vec::new() },
            estimate: u32::try_from(words.bytes / 4).unwrap_or(u32::MAX).max(1),
            limit: limit(body),
            keep_alive: body.get("keep_alive").and_then(KeepAlive::read),
            include_usage: body
                .pointer("/stream_options/include_usage")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        }
    }
}

/// Counts the words of a prompt, in any field in which a dialect keeps them.
struct Words {
    seed: Seed,
    count: usize,
    bytes: usize,
    messages: Vec<PromptMessage>,
    is_empty: bool,
}

impl Words {
    fn of(endpoint: Endpoint, body: &Value) -> Self {
        let mut words = Self { seed: Seed::new(0), count: 0, bytes: 0, messages: Vec::new(), is_empty: true };
        for key in ["system", "instructions"] {
            words.add_message(body.get(key), true);
        }
        let prompt = match endpoint {
            Endpoint::Generate | Endpoint::OpenAiCompletions | Endpoint::Embeddings => body.get("prompt"),
            Endpoint::OpenAiResponses | Endpoint::Compact | Endpoint::Embed | Endpoint::OpenAiEmbeddings => {
                body.get("input")
            }
            _ => body.get("messages"),
        };
        words.is_empty = match prompt {
            Some(Value::String(text)) => text.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => true,
        };
        if let Some(Value::Array(items)) = prompt {
            for item in items {
                let system = item.get("role").and_then(Value::as_str) == Some("system");
                words.add_message(Some(item), system);
            }
        } else {
            words.add_message(prompt, false);
        }
        words
    }

    fn add_message(&mut self, value: Option<&Value>, system: bool) {
        let before = self.count;
        self.add(value);
        if value.is_some() {
            self.messages.push(PromptMessage { system, tokens: tokens(self.count) - tokens(before) });
        }
    }

    fn add(&mut self, value: Option<&Value>) {
        match value {
            Some(Value::String(text)) => {
                self.count += text.split_ascii_whitespace().count();
                self.bytes += text.len();
                self.seed = self.seed.child_of(text);
            }
            Some(Value::Array(items)) => items.iter().for_each(|item| self.add(Some(item))),
            Some(Value::Object(fields)) => {
                for key in [
                    "role",
                    "content",
                    "text",
                    "output",
                    "arguments",
                    "name",
                    "tool_calls",
                    "input",
                    "thinking",
                ] {
                    self.add(fields.get(key));
                }
            }
            _ => {}
        }
    }
}

fn tokens(words: usize) -> u32 {
    u32::try_from((words * 4).div_ceil(3)).unwrap_or(u32::MAX)
}

fn format(body: &Value) -> Format {
    let openai = ["/response_format", "/text/format"].iter().filter_map(|place| body.pointer(place));
    match body.get("format").or_else(|| openai.into_iter().find(|format| format.is_object())) {
        None | Some(Value::Null) => Format::Any,
        Some(Value::String(name)) => match name.as_str() {
            "" => Format::Any,
            "json" => Format::Json,
            _ => Format::Unknown,
        },
        Some(Value::Object(fields)) if fields.get("type").and_then(Value::as_str) == Some("text") => {
            Format::Any
        }
        Some(Value::Object(_)) => Format::Json,
        Some(_) => Format::Unknown,
    }
}

fn thinks(body: &Value) -> bool {
    let effort =
        body.get("reasoning_effort").or_else(|| body.pointer("/reasoning/effort")).and_then(Value::as_str);
    match body.get("think") {
        Some(Value::Bool(think)) => *think,
        Some(Value::String(level)) => !level.is_empty(),
        _ => {
            effort.is_some_and(|effort| effort != "none")
                || body.pointer("/thinking/type").and_then(Value::as_str) == Some("enabled")
        }
    }
}

/// Returns the tools, unless the last message is a tool's result: then the model answers with text.
fn tools(body: &Value) -> Vec<String> {
    let name = |tool: &Value| {
        tool.pointer("/function/name").or_else(|| tool.get("name"))?.as_str().map(str::to_owned)
    };
    let last = |key: &str| body.get(key).and_then(Value::as_array).and_then(|items| items.last());
    let answered = last("messages").is_some_and(|message| {
        message.get("role").and_then(Value::as_str) == Some("tool")
            || message.get("content").and_then(Value::as_array).is_some_and(|blocks| {
                blocks.iter().any(|block| block.get("type").and_then(Value::as_str) == Some("tool_result"))
            })
    }) || last("input")
        .is_some_and(|item| item.get("type").and_then(Value::as_str) == Some("function_call_output"));
    let tools = body.get("tools").and_then(Value::as_array).filter(|_| !answered);
    tools.into_iter().flatten().filter_map(name).collect()
}

/// Returns the maximum number of tokens. Zero or less means no limit.
fn limit(body: &Value) -> Option<u32> {
    let limit = ["/options/num_predict", "/max_tokens", "/max_completion_tokens", "/max_output_tokens"]
        .iter()
        .find_map(|key| body.pointer(key).and_then(Value::as_i64))?;
    u32::try_from(limit).ok().filter(|limit| *limit > 0)
}

fn go_duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if let Ok(bare) = rest.parse::<f64>() {
        return Some(sign * bare);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    Some(sign * seconds)
}

/// A message of a prompt. A prompt that is a single text is one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PromptMessage {
    pub(super) system: bool,
    pub(super) tokens: u32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Ask, Duration, Endpoint, KeepAlive};

    #[test]
    fn keep_alive_is_seconds_or_a_go_duration() {
        assert_eq!(KeepAlive::read(&json!("1h30m")), Some(KeepAlive::For(Duration::from_secs(5400))));
        assert_eq!(KeepAlive::read(&json!("1.5s")), Some(KeepAlive::For(Duration::from_millis(1500))));
        assert_eq!(KeepAlive::read(&json!(10)), Some(KeepAlive::For(Duration::from_secs(10))));
        assert_eq!(KeepAlive::read(&json!("0")), Some(KeepAlive::NONE));
        assert_eq!(KeepAlive::read(&json!(-1)), Some(KeepAlive::Forever));
        assert_eq!(KeepAlive::read(&json!("-1m")), Some(KeepAlive::Forever));
        assert_eq!(KeepAlive::read(&json!("soon")), None);
    }

    #[test]
    fn prompt_words_are_found_in_every_dialect() {
        let read = |endpoint, body| Ask::read(endpoint, &body, "sim:latest");
        assert_eq!(read(Endpoint::Generate, json!({"prompt": "one two three"})).prompt_tokens, 4);
        let chat =
            read(Endpoint::Messages, json!({"messages": [{"content": [{"type": "text", "text": "a b"}]}]}));
        assert_eq!((chat.prompt_tokens, chat.stream), (3, false));
        assert!(read(Endpoint::Chat, json!({"messages": []})).empty);
        assert!(!read(Endpoint::OpenAiChat, json!({"messages": []})).empty);
    }

    #[test]
    fn tool_is_called_until_it_has_answered() {
        let tools = json!([{"type": "function", "function": {"name": "look"}}]);
        let ask = |messages| {
            Ask::read(Endpoint::Chat, &json!({"tools": tools, "messages": messages}), "sim:latest")
        };
        assert_eq!(ask(json!([{"role": "user", "content": "x"}])).tools, ["look"]);
        assert!(ask(json!([{"role": "tool", "content": "x"}])).tools.is_empty());
        let generate = json!({"tools": tools, "prompt": "x"});
        assert!(Ask::read(Endpoint::Generate, &generate, "sim:latest").tools.is_empty());
    }
}
