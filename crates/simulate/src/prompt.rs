//! Fits a prompt into the context.

use http::StatusCode;
use serde_json::json;

use super::ask::{Ask, PromptMessage};
use super::reply::Refusal;
use super::version::{ChatPath, OllamaVersion};

/// `num_keep` of a request that does not set it, and the token that begins every text.
const KEPT: u32 = 4;
const BEGIN: u32 = 1;

/// The result of fitting a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// The number of tokens that the model reads.
    pub(super) tokens: u32,
    /// Whether the prompt fills the context and the context may not shift, so there is room for one token only.
    pub(super) full: bool,
}

/// Fits a prompt into the context. It first leaves out whole messages, the oldest first. If the rest is still too
/// long, it is cut without notice, or the request is refused.
pub(super) fn fit(version: OllamaVersion, path: ChatPath, ask: &Ask, context: u32) -> Result<Fit, Refusal> {
    let tokens = if ask.truncate { without_oldest(&ask.messages, context) } else { ask.prompt_tokens };
    if !version.runs_llama_server() {
        return match tokens > context {
            true if !ask.truncate => Err(Refusal::bad("the input length exceeds the context length")),
            true => Ok(Fit { tokens: context, full: !ask.shift }),
            false => Ok(Fit { tokens, full: false }),
        };
    }
    let whole = Ok(Fit { tokens, full: false });
    if ask.is_chat && path == ChatPath::Native {
        return if tokens > context { Err(too_long(tokens, context)) } else { whole };
    }
    if tokens < context {
        return whole;
    }
    if !ask.truncate {
        return Err(too_long(tokens, context));
    }
    if !ask.shift {
        return Err(Refusal::bad(
            "the prompt is longer than the context length currently available to the model; shorten the prompt, \
             adjust the context length in settings, or use a model with a longer context length",
        ));
    }
    let kept = (ask.num_keep.unwrap_or(KEPT) + BEGIN).min(context.saturating_sub(1));
    Ok(Fit { tokens: context - ((context - kept) / 2).max(1), full: false })
}

/// Builds the error of llama-server. Its JSON is the text of Ollama's error.
fn too_long(tokens: u32, context: u32) -> Refusal {
    let message = format!(
        "request ({tokens} tokens) exceeds the available context size ({context} tokens), try increasing it"
    );
    let kind = "exceed_context_size_error";
    let error = json!({"error": {
        "code": 400, "message": message, "type": kind, "n_prompt_tokens": tokens, "n_ctx": context,
    }});
    Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
}

/// Returns the tokens of the messages that remain: all system messages, the newest messages that fit, and always the
/// last one.
fn without_oldest(messages: &[PromptMessage], context: u32) -> u32 {
    let sum = |first: usize| -> u32 {
        messages
            .iter()
            .enumerate()
            .filter(|(at, it)| *at >= first || it.system)
            .map(|(_, it)| it.tokens)
            .sum()
    };
    let last = messages.len().saturating_sub(1);
    (0..last).map(sum).find(|tokens| *tokens <= context).unwrap_or_else(|| sum(last)).max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::endpoint::Endpoint;
    use super::{Ask, ChatPath, Fit, OllamaVersion, Refusal, fit};

    /// Returns a request with a prompt of 600 tokens, or 602 with a role. The context has room for 512 of them.
    fn ask(endpoint: Endpoint, more: Value) -> Ask {
        let text = "x ".repeat(450);
        let mut body = json!({"prompt": text, "messages": [{"role": "user", "content": text}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Ask::read(endpoint, &body, "sim")
    }

    fn tokens(fit: Result<Fit, Refusal>) -> u32 {
        fit.unwrap().tokens
    }

    #[test]
    fn prompt_over_context_is_cut_to_half_of_it_and_in_0_12_to_all_of_it() {
        for endpoint in [Endpoint::Generate, Endpoint::Chat] {
            let ask = ask(endpoint, json!({}));
            assert_eq!(tokens(fit(OllamaVersion::V0_12, ChatPath::GoTemplate, &ask, 512)), 512);
            assert_eq!(tokens(fit(OllamaVersion::V0_33, ChatPath::GoTemplate, &ask, 512)), 259);
            let whole = fit(OllamaVersion::V0_33, ChatPath::GoTemplate, &ask, 700);
            assert_eq!(tokens(whole), ask.prompt_tokens);
        }
    }

    #[test]
    fn native_chat_refuses_prompt_over_context() {
        let long = ask(Endpoint::Chat, json!({}));
        let refusal = fit(OllamaVersion::V0_34, ChatPath::Native, &long, 512).unwrap_err();
        assert!(refusal.message.contains(r#""n_prompt_tokens":602"#), "{refusal:?}");
        let generate = ask(Endpoint::Generate, json!({}));
        assert_eq!(tokens(fit(OllamaVersion::V0_34, ChatPath::Native, &generate, 512)), 259);
    }

    #[test]
    fn prompt_over_context_is_refused_if_truncate_or_shift_is_forbidden() {
        for (more, old) in [(json!({"truncate": false}), None), (json!({"shift": false}), Some(true))] {
            let ask = ask(Endpoint::Generate, more);
            assert!(fit(OllamaVersion::V0_33, ChatPath::GoTemplate, &ask, 512).is_err());
            let old_fit = fit(OllamaVersion::V0_12, ChatPath::GoTemplate, &ask, 512);
            assert_eq!(old_fit.ok().map(|fit| fit.full), old);
        }
    }

    #[test]
    fn prompt_over_context_drops_oldest_messages_first() {
        let text = "x ".repeat(450);
        let body = json!({"messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": text},
            {"role": "user", "content": "why"},
        ]});
        let ask = Ask::read(Endpoint::Chat, &body, "sim");
        assert_eq!(tokens(fit(OllamaVersion::V0_33, ChatPath::Native, &ask, 512)), 6);
    }
}
