//! docs/reference/errors.md lists every message with which the sidecar itself answers a request.

use std::fs;

/// The files that declare the messages, as `#[error("…")]`.
const SOURCES: [&str; 5] = [
    "src/admission/refusal.rs",
    "src/proxy/headers.rs",
    "src/proxy/respond.rs",
    "src/proxy/upload.rs",
    "src/upstream/client.rs",
];

/// Answers a head that hyper could not parse, with messages that are declared in the function itself.
const HEAD_REFUSAL: &str = "fn head_refusal(";

/// A client that has disconnected reads no response.
const NEVER_SENT: &str = "the client disconnected";

/// The messages of a source file, each as the texts between its placeholders.
fn messages(source: &str) -> Vec<Vec<String>> {
    let mut messages = Vec::new();
    for rest in source.split("#[error(").skip(1) {
        let literal = rest.trim_start().strip_prefix('"').expect("a message is a literal");
        messages.push(message(literal));
    }
    messages
}

/// The message of a literal without its first quotation mark, as the texts between its placeholders.
fn message(literal: &str) -> Vec<String> {
    let mut text = String::new();
    let mut chars = literal.chars();
    loop {
        match chars.next().expect("a literal ends") {
            '"' => break,
            '\\' => text.extend(chars.next()),
            '`' => {}
            other => text.push(other),
        }
    }
    let between = text.split('{').enumerate();
    let fixed = between.map(|(n, part)| if n == 0 { part } else { part.split_once('}').unwrap().1 });
    fixed.filter(|part| part.len() > 1).map(str::to_owned).collect()
}

/// The messages of the response to a head that could not be parsed.
fn messages_of_head_refusal() -> Vec<Vec<String>> {
    let source = fs::read_to_string("src/proxy/respond.rs").unwrap();
    let body = source.split_once(HEAD_REFUSAL).expect("the function exists").1;
    let chosen = body.split_once("};").expect("the message is chosen first").0;
    chosen.split('"').skip(1).step_by(2).map(|text| message(&format!("{text}\""))).collect()
}

/// A line contains the parts in their order.
fn contains(line: &str, parts: &[String]) -> bool {
    let mut rest = line;
    parts.iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn message_of_a_refusal_or_failure_is_in_the_reference() {
    let page = fs::read_to_string("docs/reference/errors.md").unwrap();
    let mut known = 0;
    for path in SOURCES {
        for parts in messages(&fs::read_to_string(path).unwrap()) {
            if parts.is_empty() || parts[0] == NEVER_SENT {
                continue;
            }
            let is_listed = page.lines().any(|line| line.starts_with('|') && contains(line, &parts));
            assert!(is_listed, "{path}: docs/reference/errors.md has no row with {parts:?}");
            known += 1;
        }
    }
    assert!(known >= 20, "{known} messages were found");
}

#[test]
fn message_to_a_client_without_a_valid_head_is_in_the_reference() {
    let page = fs::read_to_string("docs/reference/errors.md").unwrap();
    let messages = messages_of_head_refusal();
    assert_eq!(messages.len(), 3, "{messages:?}");
    for parts in messages {
        let is_listed = page.lines().any(|line| line.starts_with('|') && contains(line, &parts));
        assert!(is_listed, "docs/reference/errors.md has no row with {parts:?}");
    }
}

#[test]
fn reason_of_a_refusal_is_in_the_reference() {
    let page = fs::read_to_string("docs/reference/errors.md").unwrap();
    let source = fs::read_to_string(SOURCES[0]).unwrap();
    let reasons: Vec<_> = source.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(reasons.len() >= 8, "{reasons:?}");
    for reason in reasons {
        assert!(page.contains(&format!("| `{reason}` |")), "docs/reference/errors.md misses `{reason}`");
    }
}
