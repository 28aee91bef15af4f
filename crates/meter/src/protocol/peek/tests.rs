//! Tests which parts are read from a body.

use super::{Peek, PeekReader};
use crate::protocol::is_model_name;

fn peek(body: &str) -> (Option<String>, Option<bool>) {
    let Peek { model, stream, .. } = Peek::read(body.as_bytes());
    (model, stream)
}

fn model(body: &str) -> Option<String> {
    peek(body).0
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn peek_finds_model_and_stream_in_any_order() {
    let body = r#"{"stream":false,"messages":[{"role":"user","content":"\"model\":\"no\""}],"model":"a:b"}"#;
    assert_eq!(peek(body), (some("a:b"), Some(false)));
    assert_eq!(peek(r#"{"model":"a"}"#), (some("a"), None));
    assert_eq!(peek(r#"{"stream":true}"#), (None, Some(true)));
}

#[test]
fn peek_of_cut_body_keeps_fields_before_the_cut() {
    let body = r#"{"model":"a","stream":true,"prompt":"long long","options":{"seed":[1,2,{"x":null}]}}"#;
    let model_ends = body.find(",\"stream").unwrap();
    let stream_ends = body.find(",\"prompt").unwrap();
    for cut in 0..body.len() {
        let (model, stream) = peek(&body[..cut]);
        assert_eq!(model, (cut >= model_ends).then(|| "a".to_owned()), "{}", &body[..cut]);
        assert_eq!(stream, (cut >= stream_ends).then_some(true), "{}", &body[..cut]);
    }
}

#[test]
fn peek_matches_keys_as_go_does() {
    assert_eq!(model(r#"{"MODEL":"a"}"#), some("a"));
    assert_eq!(model(r#"{"model":"a","Model":"b"}"#), some("b"));
    assert_eq!(model(r#"{"m\u006fdel":"a"}"#), some("a"));
    assert_eq!(peek("{\"ſtream\":true}").1, Some(true));
    assert_eq!(model(r#"{"models":"a"}"#), None);
    assert_eq!(model(r#"{"options":{"model":"a"}}"#), None);
}

#[test]
fn peek_ignores_null_and_rejects_wrong_type() {
    assert_eq!(model(r#"{"model":"a","model":null}"#), some("a"));
    for wrong in ["1", "-1", "1.5", "true", "[\"a\"]", "{\"a\":1}"] {
        assert_eq!(model(&format!(r#"{{"model":"a","model":{wrong}}}"#)), None, "{wrong}");
        let body = format!(r#"{{"model":{wrong},"stream":true}}"#);
        assert_eq!(peek(&body), (None, Some(true)), "{wrong}");
    }
    assert_eq!(peek(r#"{"stream":true,"stream":null}"#).1, None);
    assert_eq!(peek(r#"{"stream":"true"}"#).1, None);
}

#[test]
fn peek_accepts_older_field_names() {
    assert_eq!(model(r#"{"name":"a"}"#), some("a"));
    assert_eq!(model(r#"{"name":"a","model":"b"}"#), some("b"));
    assert_eq!(model(r#"{"model":"","name":"a"}"#), some("a"));
    assert_eq!(model(r#"{"source":"a","destination":"b"}"#), some("a"));
    assert_eq!(model(r#"{"model":"","name":"","source":""}"#), None);
}

#[test]
fn peek_of_junk_finds_no_model() {
    let longest = "m".repeat(256);
    assert_eq!(model(&format!(r#"{{"model":"{longest}"}}"#)), Some(longest));
    assert_eq!(model(&format!(r#"{{"model":"{}"}}"#, "m".repeat(257))), None);
    assert_eq!(model(r#"{"model":"a\nb"}"#), None);
    assert!(!is_model_name("a\u{85}b") && !is_model_name(""));
    // The invalid name is not replaced by the older field, because Ollama would not use that either.
    assert_eq!(model(r#"{"model":"a\nb","name":"c"}"#), None);
}

#[test]
fn peek_of_non_object_finds_nothing() {
    for body in ["", "null", "[]", "\"model\"", "{", "{\"model\"", "\u{feff}{\"model\":\"a\"}", "model"] {
        let nothing = Peek { prompt_bytes: body.len() as u64, ..Peek::default() };
        assert_eq!(Peek::read(body.as_bytes()), nothing, "{body}");
    }
}

#[test]
fn peek_accepts_invalid_utf8_outside_the_model() {
    let read = |body: &[u8]| Peek::read(body).model;
    assert_eq!(read(b"{\"x\":\"\xff\",\"model\":\"a\"}"), some("a"));
    assert_eq!(read(b"{\"\xff\":1,\"\\ud800\":1,\"model\":\"a\"}"), some("a"));
    assert_eq!(read(b"{\"model\":\"a\",\"model\":\"\xff\"}"), None);
    assert_eq!(read(b"{\"model\":\"a\\ud800\"}"), None);
}

#[test]
fn peek_of_deeply_nested_body_takes_no_stack() {
    let deep = "[".repeat(1 << 20);
    assert_eq!(model(&format!(r#"{{"model":"a","x":{deep}"#)), some("a"));
    let closed = format!(r#"{{"x":{deep}{},"model":"a"}}"#, "]".repeat(1 << 20));
    assert_eq!(model(&closed), some("a"));
    assert_eq!(model(&format!(r#"{{"model":{deep}"#)), None);
}

/// A body with a field of each kind, most of them in unusual places.
const VARIED: &str = r#" {"\u006dodel" : "no", "messages":[{"role":"user","images":["QUJD","REVG"],
    "content":"\"model\":\"no\" ]} \\"},{"content":[{"type":"image_url","image_url":{"url":"data:QUJD"}}]}],
    "n":-1.5e+9,"x":[[{"a":"]"}],[]],"y":{"b":{"c":"}"}},"z":null,"MODEL":"a:\u0062","stream":true,
    "stream_options":{"other":["include_usage"],"deep":{"include_usage":1}}} "#;

#[test]
fn peek_of_split_body_equals_peek_of_whole() {
    let whole = Peek::read(VARIED.as_bytes());
    assert_eq!(whole.model.as_deref(), Some("a:b"));
    assert_eq!(whole.stream, Some(true));
    assert_eq!(whole.usage_unasked_at, Some(VARIED.len() as u64 - 2));
    // Two escapes of a letter, and five of a quote or a backslash.
    let escapes = 2 * 3 + 5;
    assert_eq!(whole.prompt_bytes, (VARIED.len() - "QUJDREVGdata:QUJD".len() - escapes) as u64);
    for cut in 0..=VARIED.len() {
        let mut reader = PeekReader::default();
        reader.read(&VARIED.as_bytes()[..cut]);
        reader.read(&VARIED.as_bytes()[cut..]);
        assert_eq!(reader.peek(), whole, "{}", &VARIED[..cut]);
    }
    let mut reader = PeekReader::default();
    VARIED.as_bytes().iter().for_each(|byte| reader.read(std::slice::from_ref(byte)));
    assert_eq!(reader.peek(), whole);
}

#[test]
fn peek_finds_model_behind_large_image_without_keeping_the_image() {
    let mut reader = PeekReader::default();
    reader.read(br#"{"messages":[{"role":"user","content":"what?","images":[""#);
    let image = [b'A'; 1 << 16];
    for _ in 0..320 {
        reader.read(&image);
        assert!(!reader.knows_model() && !reader.is_over());
    }
    let prompt = r#"{"messages":[{"role":"user","content":"what?","images":[""#.len() as u64;
    assert_eq!(reader.peek().prompt_bytes, prompt, "an image whose end has not come is no prompt");
    assert!(reader.capacity() < 4096, "{}", reader.capacity());
    reader.read(br#""]}],"model":"llava"}"#);
    assert!(reader.knows_model() && reader.is_over());
    assert_eq!(reader.peek().model.as_deref(), Some("llava"));
}

#[test]
fn peek_reports_usage_not_requested_for_stream_without_option() {
    for (body, is_unasked) in [
        (r#"{"stream":true}"#, true),
        (r#"{"stream":true,"stream_options":null}"#, true),
        (r#"{"stream":true,"stream_options":{}}"#, true),
        (r#"{"stream":true,"stream_options":{"other":"include_usage"}}"#, true),
        (r#"{"stream_options":{"include_usage":true},"stream_options":null,"stream":true}"#, true),
        (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, false),
        (r#"{"stream":true,"stream_options":{"Include_\u0075sage" : false}}"#, false),
        (r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{}}"#, false),
        (r#"{"stream":true,"stream_options":7}"#, false),
        (r#"{"stream":true,"stream_options":[]}"#, false),
        (r#"{"stream":true,"stream_options":"x"}"#, false),
        (r#"{"stream":false}"#, false),
        (r#"{"stream":true,"stream":null}"#, false),
        (r#"{"model":"m"}"#, false),
        (r#"{"stream":true"#, false),
        (r#"{"stream":true} x"#, false),
        (r#"[{"stream":true}]"#, false),
        ("", false),
    ] {
        let expected = is_unasked.then(|| body.len() as u64 - 1);
        assert_eq!(Peek::read(body.as_bytes()).usage_unasked_at, expected, "{body}");
    }
}

#[test]
fn peek_reports_tools_and_format_and_none_if_empty() {
    let constrained = |body: &str| Peek::read(body.as_bytes()).constrained;
    for (field, wanted) in [
        (r#""tools":[{"type":"function"}]"#, true),
        (r#""tools":[ [] ]"#, true),
        (r#""format":"json""#, true),
        (r#""format":{"type":"object"}"#, true),
        (r#""response_format":{"type":"json_object"}"#, true),
        (r#""text":{"format":{"type":"json_schema"}}"#, true),
        (r#""tools":[ ]"#, false),
        (r#""tools":null,"format":"""#, false),
        (r#""format":{}"#, false),
        (r#""options":{"tools":[1]}"#, false),
    ] {
        let body = format!(r#"{{"model":"a",{field},"stream":true}}"#);
        assert_eq!(constrained(&body), Some(wanted), "{body}");
        for cut in 0..body.len() {
            let mut reader = PeekReader::default();
            reader.read(&body.as_bytes()[..cut]);
            reader.read(&body.as_bytes()[cut..]);
            assert_eq!(reader.peek().constrained, Some(wanted), "{body} cut at {cut}");
        }
    }
    assert_eq!(constrained(r#"{"model":"a","messages":[{"content":"x"#), None);
    assert_eq!(constrained(r#"{"tools":[{"type":"function"#), Some(true));
}
