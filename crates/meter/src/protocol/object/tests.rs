//! Finds fields, and checks the text that is left when one is removed.

use super::{find, only_item, visit};

fn without(text: &str, name: &str) -> Option<String> {
    let [found] = find(text.as_bytes(), [name.as_bytes()])?;
    let mut left = text.to_owned();
    left.replace_range(found?.range, "");
    Some(left)
}

#[test]
fn removed_field_leaves_an_object() {
    for (text, left) in [
        (r#"{"a":1,"u":{"x":[",}"]},"b":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1 , "u" : {} , "b":2}"#, r#"{"a":1 , "b":2}"#),
        (r#"{"u":1,"b":2}"#, r#"{"b":2}"#),
        (r#"{ "u" : null , "b":2}"#, r#"{ "b":2}"#),
        (r#"{"a":1,"u":"x"}"#, r#"{"a":1}"#),
        (r#"{"u":1}"#, "{}"),
        (r#" {"\u0075":1 } "#, " { } "),
        (r#"{"u":1,"u":2}"#, r#"{"u":1}"#),
    ] {
        assert_eq!(without(text, "u").as_deref(), Some(left), "{text}");
        let value: serde_json::Value = serde_json::from_str(left).unwrap();
        assert!(value.is_object());
    }
}

#[test]
fn text_without_object_has_no_fields() {
    for text in ["", "[]", "\"u\"", r#"{"u":1"#, r#"{"u":1} x"#, r#"{"u" 1}"#] {
        assert_eq!(find(text.as_bytes(), [b"u"]), None, "{text}");
    }
    assert_eq!(find(br#"{"a":{"u":1}}"#, [b"u"]), Some([None]));
}

#[test]
fn fields_with_several_names_are_found_in_one_pass() {
    let [choices, usage] = find(br#"{"usage":7,"choices": [ ]}"#, [b"choices", b"usage"]).unwrap();
    assert_eq!(choices.unwrap().value, b"[ ]");
    assert_eq!(usage.unwrap().value, b"7");
}

#[test]
fn visit_reports_fields_as_written() {
    let mut told = Vec::new();
    assert!(visit(br#"{"a": -1.50, "\u0062":[1 ,2]}"#, |key, value| {
        told.push((key.to_vec(), value));
        true
    }));
    assert_eq!(told, [(b"a".to_vec(), &b"-1.50"[..]), (b"b".to_vec(), b"[1 ,2]")]);
    assert!(!visit(br#"{"a":1,"b":2}"#, |key, _| key == b"a"));
    for text in ["", "[]", "{", r#"{"a":1} x"#] {
        assert!(!visit(text.as_bytes(), |_, _| true), "{text}");
    }
}

#[test]
fn only_item_exists_for_list_of_one() {
    assert_eq!(only_item(b" [ {\"a\":[1,2]} ] "), Some(&b"{\"a\":[1,2]}"[..]));
    for text in ["[]", "[1,2]", "{}", "[1", "1"] {
        assert_eq!(only_item(text.as_bytes()), None, "{text}");
    }
}
