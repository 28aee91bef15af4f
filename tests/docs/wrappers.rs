//! The life of a request names every layer around a body and around a connection, from the outside in.
//!
//! The types state the layers, and the compiler verifies the types. Here they are followed from one declaration to the next.

use std::fs;

const PAGE: &str = include_str!("../../docs/explanation/life-of-a-request.md");

/// The types in a declaration of a file, from the outside in. `B` is the body that a layer is around.
fn declared(file: &str, start: &str, end: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("{file} declares no {start:?}"));
    let (declaration, _) = rest.split_once(end).unwrap_or_else(|| panic!("{file}: {start:?} has no end"));
    let types: Vec<_> = declaration
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && *word != "B")
        .map(str::to_owned)
        .collect();
    assert!(!types.is_empty(), "{file}: {start:?} names no type");
    types
}

/// Follows the last type of a stack into its own declaration.
fn follow(mut stack: Vec<String>, last: &str, inner: Vec<String>) -> Vec<String> {
    assert_eq!(stack.last().map(String::as_str), Some(last), "{stack:?}");
    stack.extend(inner);
    stack
}

/// Replaces an alias by what it stands for.
fn resolve(stack: Vec<String>, alias: &str, meaning: &[String]) -> Vec<String> {
    assert!(stack.iter().any(|name| name == alias), "{stack:?} has no {alias}");
    let one = |name: String| if name == alias { meaning.to_vec() } else { vec![name] };
    stack.into_iter().flat_map(one).collect()
}

/// The first column of the table behind a paragraph.
fn documented(paragraph: &str) -> Vec<String> {
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with(paragraph));
    assert!(lines.next().is_some(), "the page has no paragraph {paragraph:?}");
    let rows = lines.skip_while(|line| line.is_empty()).take_while(|line| line.starts_with('|'));
    let names = rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn page_names_each_layer_of_client_connection_in_order() {
    let stack = declared("src/proxy/connection.rs", "type ClientIo = ", ";");
    let inner = declared("src/proxy/connection/reset.rs", "    stream: ", ",");
    assert_eq!(documented("The client's connection has these layers"), follow(stack, "Resets", inner));
}

#[test]
fn page_names_each_layer_of_request_body_in_order() {
    let stack = declared("src/proxy/shared.rs", "client: upstream::Client<", ">");
    let stack = follow(stack, "Lent", declared("src/proxy/upload/lent.rs", "struct Lent(Option<Box<", ">"));
    let stack = follow(stack, "Upload", declared("src/proxy/upload.rs", "    body: Option<", ">"));
    let inbound = declared("src/proxy/inbound.rs", "type Inbound = ", ";");
    assert_eq!(documented("The request's body has these layers"), resolve(stack, "Inbound", &inbound));
}

#[test]
fn page_names_each_layer_of_upstream_connection_in_order() {
    let stack = declared("src/upstream/link.rs", "type Response = ", ";");
    assert_eq!(documented("The upstream's connection has these layers"), stack);
}

#[test]
fn page_names_each_layer_of_response_body_in_order() {
    let stack = declared("src/proxy/connection.rs", "type ClientBody = ", ";");
    let forwarded = declared("src/proxy/respond.rs", "Forwarded { #[pin] body: ", " }");
    let stack = follow(stack, "Outgoing", forwarded);
    let shaped = declared("crates/meter/src/shaping.rs", "pub type Shaped<B> = ", ";");
    let stack = resolve(stack, "Shaped", &shaped);
    let stack = follow(stack, "Answer", declared("src/upstream/answer.rs", "        body: ", ","));
    assert_eq!(documented("The response's body has these layers"), stack);
}
