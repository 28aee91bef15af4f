//! Tests that the usage is asked for, and removed again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::{
        Config, Stream,
        script::{CHAT, Script, hear, shaping, shows},
    },
    *,
};
use crate::protocol::Peek;

/// Returns the body that asks for its usage.
fn asked(openai_usage: OpenAiUsage, route: Route, body: &str) -> Option<(String, bool)> {
    let (shaping, _registry) = shaping(Config { openai_usage, ..Config::default() });
    let ask = shaping.ask_usage(route, &Peek::read(body.as_bytes()))?;
    let mut asked = body.to_owned();
    asked.insert_str(usize::try_from(ask.at).unwrap(), ask.text);
    Some((asked, ask.strip))
}

#[test]
fn usage_injection_keeps_every_other_byte_of_the_body() {
    let body = "{\"model\":\"m\", \"seed\":12345678901234567890123,\"stream\":true }\n";
    let (asked, _) = asked(OpenAiUsage::Inject, Route::OpenaiChat, body).unwrap();
    assert_eq!(
        asked,
        "{\"model\":\"m\", \"seed\":12345678901234567890123,\"stream\":true ,\"stream_options\":{\"include_usage\":true}}\n"
    );
}

#[test]
fn usage_is_injected_only_if_configured_and_applicable() {
    let body = r#"{"stream":true}"#;
    for (openai_usage, strip) in [
        (OpenAiUsage::Off, None),
        (OpenAiUsage::Inject, Some(false)),
        (OpenAiUsage::InjectAndStrip, Some(true)),
    ] {
        let asked = |route, body| asked(openai_usage, route, body).map(|(_, strip)| strip);
        assert_eq!(asked(Route::OpenaiCompletions, body), strip);
        assert_eq!(asked(Route::OpenaiCompletions, r#"{"stream":false}"#), None);
        assert_eq!(asked(Route::Chat, body), None);
        assert_eq!(asked(Route::OpenaiResponses, body), None);
    }
}

#[tokio::test(start_paused = true)]
async fn usage_strip_removes_only_the_usage() {
    let stream = Stream {
        route: Route::OpenaiChat,
        dialect: Dialect::OpenAi,
        framing: Some(Framing::Sse),
        strip_usage: true,
        ..CHAT
    };
    let event = |value: Value| format!("data: {value}\n\n");
    let content = event(json!({"choices": [{"index": 0, "delta": {"content": "a"}}]}));
    // The form in which `/v1/completions` sends it.
    let zeros =
        |usage| format!("data: {{\"choices\":[{{\"text\":\"\\u003c\",\"index\":0}}]{usage},\"n\":1.50}}\n\n");
    let counted = zeros(",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}");
    let odd = "id: 7\r\ndata:{\"usage\": null, \"choices\":[]}\r\n\r\n";
    let empty = event(json!({"choices": []}));
    let extra = event(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}));
    let done = "data: [DONE]\n\n";
    let body = format!("{content}{counted}{empty}: ping\n\n{odd}{extra}{done}");
    let left = body.replace(&extra, "").replace(&counted, &zeros("")).replace("\"usage\": null,", "");
    for size in [1, 7, body.len()] {
        let (shaping, registry) = shaping(Config::default());
        let chunks: Vec<_> = body.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        let heard = hear(shaping.wrap(&stream, Script::every(Duration::from_millis(1), chunks))).await;
        let text = String::from_utf8(heard.bytes()).unwrap();
        assert_eq!(text, left);
        assert!(shows(&registry, "shaping_records_in_total 6"));
        assert!(shows(&registry, "shaping_records_out_total 5"));
        assert!(shows(&registry, "shaping_buffer_bytes 0"));
    }
}
