//! docs/reference/library.md lists the public items with the first sentence of their documentation.

use super::{
    PACKAGES, hold,
    interface::{Public, interface},
    source::Source,
};

const PAGE: &str = "docs/reference/library.md";

#[test]
fn page_of_the_library_lists_each_public_item() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    // The text before the first package is written by hand.
    let mut text = page.split("\n## ").next().unwrap().trim_end().to_owned();
    text.push('\n');
    for package in PACKAGES {
        let source = Source::read(package.sources);
        text.push_str(&format!("\n## {}\n", package.name));
        of_package(package.name, &source, &mut text);
    }
    hold(PAGE, &text);
}

fn of_package(package: &str, source: &Source, text: &mut String) {
    let krate = package.replace('-', "_");
    let mut module = None;
    for item in interface(source).iter().filter(|item| !item.is_hidden()) {
        if module != Some(item.module.clone()) {
            let path: Vec<_> = [krate.clone()].into_iter().chain(item.module.iter().cloned()).collect();
            text.push_str(&format!("\n### `{}`\n\n", path.join("::")));
            let about = sentence(source.docs(&item.module));
            text.push_str(&format!("{about}\n\n| item | kind | description |\n|---|---|---|\n"));
            module = Some(item.module.clone());
        }
        text.push_str(&format!("| `{}` | {} | {} |\n", item.name, kind(item), described(item)));
    }
}

fn kind(item: &Public) -> &str {
    let words = item.signature.split(' ');
    words.into_iter().find(|word| !["non_exhaustive", "async", "const"].contains(word)).map_or("", |word| {
        // A constant is `const NAME: …`, a function `const fn`.
        if ["struct", "enum", "trait", "type", "fn", "static", "use"].contains(&word) {
            word
        } else {
            "const"
        }
    })
}

fn described(item: &Public) -> String {
    let features = item.conditions.iter().filter_map(|condition| condition.strip_prefix("feature = "));
    let features: String =
        features.map(|feature| format!(" Needs the feature `{}`.", feature.trim_matches('"'))).collect();
    if item.is_again() {
        let path = item.signature.trim_start_matches("use ").split(' ').next().unwrap();
        return format!("`{}`.{features}", path.trim_start_matches("crate::"));
    }
    assert!(!item.docs.is_empty(), "{} has no documentation", item.name);
    format!("{}{features}", sentence(&item.docs))
}

/// The first sentence, with links as the words that they stand on.
fn sentence(docs: &str) -> String {
    let paragraph: Vec<_> = docs.trim().lines().take_while(|line| !line.is_empty()).collect();
    let mut text = without_links(&paragraph.join(" "));
    let mut is_code = false;
    let end = text.char_indices().find(|(at, letter)| {
        is_code ^= *letter == '`';
        let ends = *letter == '.' && !is_code && !text[..*at].ends_with("e.g");
        ends && text[at + 1..].chars().next().is_none_or(char::is_whitespace)
    });
    if let Some((at, _)) = end {
        text.truncate(at + 1);
    }
    if !text.ends_with(['.', '!', '?']) {
        text = format!("{}.", text.trim_end_matches([':', ';']));
    }
    text.replace('|', "\\|")
}

/// `` [`Meter`](crate::Meter) `` and `` [`Meter`] `` are `` `Meter` ``.
fn without_links(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(opens) = rest.find('[') {
        let Some(closes) = rest[opens..].find(']').map(|at| opens + at) else { break };
        plain.push_str(&rest[..opens]);
        plain.push_str(&rest[opens + 1..closes]);
        rest = &rest[closes + 1..];
        if rest.starts_with('(') {
            rest = rest.find(')').map_or("", |end| &rest[end + 1..]);
        }
    }
    plain + rest
}

#[test]
fn guide_for_embedding_names_each_method_of_the_sidecar() {
    let guide = std::fs::read_to_string("docs/how-to/embed.md").unwrap();
    let mut missing = Vec::new();
    for item in interface(&Source::read("src")).iter().filter(|item| item.module == ["sidecar"]) {
        let functions = item.members.iter().filter_map(|member| member.split_once("fn ")?.1.split_once('('));
        let named = |function: &str| guide.contains(&format!("`{}::{function}(", item.name));
        let absent = functions.filter(|(function, _)| item.name != "Reload" && !named(function));
        missing.extend(absent.map(|(function, _)| format!("{}::{function}", item.name)));
    }
    assert!(missing.is_empty(), "docs/how-to/embed.md has no row for {missing:?}");
}

#[test]
fn first_sentence_ends_at_its_full_stop_and_keeps_the_words_of_links() {
    for (docs, expected) in [
        ("A [`Meter`] of `a.b c`. Cheap.", "A `Meter` of `a.b c`."),
        ("Wraps\n[a body](http_body::Body)\n\nMore.", "Wraps a body."),
        ("What was seen:", "What was seen."),
    ] {
        assert_eq!(sentence(docs), expected);
    }
}
