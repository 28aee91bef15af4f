//! What is peeked of a body.

use super::{Peek, is_model_name};

fn peek(body: &str) -> (Option<String>, Option<bool>) {
    let Peek { model, stream } = Peek::read(body.as_bytes());
    (model, stream)
}

fn model(body: &str) -> Option<String> {
    peek(body).0
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn model_and_stream_in_any_order() {
    let body = r#"{"stream":false,"messages":[{"role":"user","content":"\"model\":\"no\""}],"model":"a:b"}"#;
    assert_eq!(peek(body), (some("a:b"), Some(false)));
    assert_eq!(peek(r#"{"model":"a"}"#), (some("a"), None));
    assert_eq!(peek(r#"{"stream":true}"#), (None, Some(true)));
}

#[test]
fn a_body_cut_anywhere_keeps_what_came_before() {
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
fn keys_match_as_in_go() {
    assert_eq!(model(r#"{"MODEL":"a"}"#), some("a"));
    assert_eq!(model(r#"{"model":"a","Model":"b"}"#), some("b"));
    assert_eq!(model(r#"{"m\u006fdel":"a"}"#), some("a"));
    assert_eq!(peek("{\"ſtream\":true}").1, Some(true));
    assert_eq!(model(r#"{"models":"a"}"#), None);
    assert_eq!(model(r#"{"options":{"model":"a"}}"#), None);
}

#[test]
fn a_null_changes_nothing_and_a_wrong_type_everything() {
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
fn older_names_stand_in() {
    assert_eq!(model(r#"{"name":"a"}"#), some("a"));
    assert_eq!(model(r#"{"name":"a","model":"b"}"#), some("b"));
    assert_eq!(model(r#"{"model":"","name":"a"}"#), some("a"));
    assert_eq!(model(r#"{"source":"a","destination":"b"}"#), some("a"));
    assert_eq!(model(r#"{"model":"","name":"","source":""}"#), None);
}

#[test]
fn junk_is_no_model() {
    let longest = "m".repeat(256);
    assert_eq!(model(&format!(r#"{{"model":"{longest}"}}"#)), Some(longest));
    assert_eq!(model(&format!(r#"{{"model":"{}"}}"#, "m".repeat(257))), None);
    assert_eq!(model(r#"{"model":"a\nb"}"#), None);
    assert!(!is_model_name("a\u{85}b") && !is_model_name(""));
    // The junk does not let an older name in: Ollama would not look at it.
    assert_eq!(model(r#"{"model":"a\nb","name":"c"}"#), None);
}

#[test]
fn what_is_no_object_is_nothing() {
    for body in ["", "null", "[]", "\"model\"", "{", "{\"model\"", "\u{feff}{\"model\":\"a\"}", "model"] {
        assert_eq!(Peek::read(body.as_bytes()), Peek::default(), "{body}");
    }
}

#[test]
fn bytes_that_are_no_utf8_pass_unless_they_are_the_model() {
    let read = |body: &[u8]| Peek::read(body).model;
    assert_eq!(read(b"{\"x\":\"\xff\",\"model\":\"a\"}"), some("a"));
    assert_eq!(read(b"{\"\xff\":1,\"\\ud800\":1,\"model\":\"a\"}"), some("a"));
    assert_eq!(read(b"{\"model\":\"a\",\"model\":\"\xff\"}"), None);
    assert_eq!(read(b"{\"model\":\"a\\ud800\"}"), None);
}

#[test]
fn a_deep_nest_takes_no_stack() {
    let deep = "[".repeat(1 << 20);
    assert_eq!(model(&format!(r#"{{"model":"a","x":{deep}"#)), some("a"));
    let closed = format!(r#"{{"x":{deep}{},"model":"a"}}"#, "]".repeat(1 << 20));
    assert_eq!(model(&closed), some("a"));
    assert_eq!(model(&format!(r#"{{"model":{deep}"#)), None);
}
