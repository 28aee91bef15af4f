//! The usage asked for, and taken out again.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{
        Config, Stream,
        script::{CHAT, Script, hear, shaping, shows},
    },
    *,
};

fn injected(body: &str) -> Option<String> {
    let bytes = inject(Route::OpenaiChat, body.as_bytes())?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn the_usage_is_asked_for_where_the_client_does_not() {
    let asked = injected("{\"model\":\"m\", \"seed\":12345678901234567890123,\"stream\":true}\n").unwrap();
    assert_eq!(
        asked,
        "{\"model\":\"m\", \"seed\":12345678901234567890123,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
    );
    for body in [
        r#"{"stream":true,"stream_options":null}"#,
        r#"{"stream":true,"stream_options":{}}"#,
        r#"{"stream":true,"stream_options":{"other":1}}"#,
    ] {
        let asked: Value = serde_json::from_str(&injected(body).unwrap()).unwrap();
        assert_eq!(asked["stream_options"]["include_usage"], json!(true), "{body}");
    }
}

#[test]
fn what_is_not_for_it_stays_as_it_is() {
    for body in [
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
        r#"{"stream":true,"stream_options":7}"#,
        r#"{"stream":false}"#,
        r#"{"model":"m"}"#,
        r#"{"stream":true"#,
        r#"[{"stream":true}]"#,
        "",
        "\u{28}\u{b5}/\u{fd}",
    ] {
        assert_eq!(injected(body), None, "{body}");
    }
    assert_eq!(inject(Route::Chat, br#"{"stream":true}"#), None);
    assert_eq!(inject(Route::OpenaiResponses, br#"{"stream":true}"#), None);
}

#[test]
fn the_setting_says_whether_it_is_asked_for_and_taken_out() {
    let body = br#"{"stream":true}"#;
    for (openai_usage, strip) in [
        (OpenAiUsage::Off, None),
        (OpenAiUsage::Inject, Some(false)),
        (OpenAiUsage::InjectAndStrip, Some(true)),
    ] {
        let (shaping, _registry) = shaping(Config { openai_usage, ..Config::default() });
        let asked = shaping.ask_usage(Route::OpenaiCompletions, body);
        assert_eq!(asked.map(|asked| asked.strip), strip);
    }
}

#[tokio::test(start_paused = true)]
async fn the_extra_chunk_is_taken_out_and_nothing_else() {
    let stream = Stream {
        route: Route::OpenaiChat,
        dialect: Dialect::OpenAi,
        framing: Some(Framing::Sse),
        strip_usage: true,
        ..CHAT
    };
    let event = |value: Value| format!("data: {value}\n\n");
    let content = event(json!({"choices": [{"index": 0, "delta": {"content": "a"}}]}));
    let counted = event(json!({"choices": [{"index": 0, "text": "b"}], "usage": {"prompt_tokens": 0}}));
    let empty = event(json!({"choices": []}));
    let extra = event(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}));
    let done = "data: [DONE]\n\n";
    let body = format!("{content}{counted}{empty}: ping\n\n{extra}{done}");
    for size in [1, 7, body.len()] {
        let (shaping, registry) = shaping(Config::default());
        let chunks: Vec<_> = body.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
        let heard = hear(shaping.wrap(&stream, Script::every(Duration::from_millis(1), chunks))).await;
        let text = String::from_utf8(heard.bytes()).unwrap();
        assert_eq!(text, body.replace(&extra, ""));
        assert!(shows(&registry, "shaping_records_in_total 5"));
        assert!(shows(&registry, "shaping_records_out_total 4"));
        assert!(shows(&registry, "shaping_buffer_bytes 0"));
    }
}
