//! The names and labels in a query. This is not a parser: Prometheus checks the grammar.

use std::collections::BTreeSet;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// The label and the value of each matcher.
    pub(crate) matchers: Vec<(String, String)>,
    /// The function whose argument it is, and its range: `rate` and `5m`.
    pub(crate) within: String,
    pub(crate) range: Option<String>,
}

/// The names in a query.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) selectors: Vec<Selector>,
    /// Labels of `by`, `on`, `ignoring`, `without` and `group_left`.
    pub(crate) grouped: BTreeSet<String>,
}

const GROUPING: [&str; 6] = ["by", "on", "ignoring", "without", "group_left", "group_right"];
const KEYWORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];

pub(crate) fn read(query: &str) -> Named {
    let mut named = Named::default();
    let mut rest = query;
    let mut function = String::new();
    while let Some(first) = rest.chars().next() {
        let word = identifier(rest);
        if word.is_empty() {
            rest = match first {
                '"' => quoted(rest).1,
                '[' => rest.split_once(']').expect("a range ends").1,
                // With the following characters: `5m`, `10e9`, `$__range`.
                '0'..='9' | '$' => {
                    rest[1..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
                }
                _ => {
                    if first != '(' && !first.is_whitespace() {
                        function.clear();
                    }
                    &rest[first.len_utf8()..]
                }
            };
            continue;
        }
        rest = &rest[word.len()..];
        let next = rest.trim_start();
        if GROUPING.contains(&word) && next.starts_with('(') {
            let (labels, after) = next[1..].split_once(')').expect("a list of labels ends");
            named
                .grouped
                .extend(labels.split(',').map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
            rest = after;
        } else if next.starts_with('(') {
            function = word.to_owned();
        } else if !KEYWORDS.contains(&word) && !GROUPING.contains(&word) && !follows_aggregation(next) {
            let mut selector =
                Selector { name: word.to_owned(), within: function.clone(), ..Selector::default() };
            if let Some(inside) = next.strip_prefix('{') {
                (selector.matchers, rest) = matchers(inside);
            }
            if let Some(inside) = rest.trim_start().strip_prefix('[') {
                let (range, after) = inside.split_once(']').expect("a range ends");
                selector.range = Some(range.to_owned());
                rest = after;
            }
            named.selectors.push(selector);
        }
    }
    named
}

/// In `sum by (…) (…)`, the word before `by` is not a series.
fn follows_aggregation(next: &str) -> bool {
    ["by", "without"].contains(&identifier(next))
}

fn identifier(text: &str) -> &str {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    if starts { &text[..end] } else { "" }
}

/// The matchers up to the closing brace, and the rest.
fn matchers(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',', '\n']);
        if let Some(after) = text.strip_prefix('}') {
            return (found, after);
        }
        let label = identifier(text);
        assert!(!label.is_empty(), "no label at: {text}");
        let value = text[label.len()..].trim_start_matches([' ', '=', '!', '~']);
        let (value, after) = quoted(value);
        found.push((label.to_owned(), value.to_owned()));
        text = after;
    }
}

fn quoted(text: &str) -> (&str, &str) {
    let inside = text.strip_prefix('"').expect("a value is quoted");
    let mut escaped = false;
    let end = inside.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let end = end.expect("a value ends");
    (&inside[..end], &inside[end + 1..])
}

#[test]
fn promql_names_labels_and_ranges_are_found() {
    let query = r#"histogram_quantile(0.95, sum by (le, model) (rate(a_bucket{job=~"$job", le!="x\"}"}[5m:])))
        / on (gpu) group_left () (max(b) > 0.8 * c:d:e) and 10e9 or vector(0) unless f offset 5m"#;
    let named = read(query);
    let selector = |name: &str, within: &str, range: Option<&str>, matchers: &[(&str, &str)]| Selector {
        name: name.to_owned(),
        matchers: matchers.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
        within: within.to_owned(),
        range: range.map(str::to_owned),
    };
    let expected = [
        selector("a_bucket", "rate", Some("5m:"), &[("job", "$job"), ("le", "x\\\"}")]),
        selector("b", "max", None, &[]),
        selector("c:d:e", "", None, &[]),
        selector("f", "", None, &[]),
    ];
    assert_eq!(named.selectors, expected);
    assert_eq!(named.grouped.iter().map(String::as_str).collect::<Vec<_>>(), ["gpu", "le", "model"]);
}
