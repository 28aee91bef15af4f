//! The syntax errors of a file, without the ones that only follow from an earlier error.

use std::ops::{Range, RangeInclusive};

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

/// The syntax errors of a file, at most one per line, and the lines whose meaning is uncertain because of them.
#[derive(Debug)]
pub(super) struct Syntax {
    /// The line, counted from 1, and the message.
    pub(super) errors: Vec<(usize, String)>,
    guesses: Vec<RangeInclusive<usize>>,
}

impl Syntax {
    /// Filters `errors`. `root` and `errors` are the parser's result for `text`.
    pub(super) fn of(text: &str, lines: &LineEnds, root: &DeTable<'_>, errors: &[Error]) -> Syntax {
        let mut left: Vec<(usize, String)> = errors.iter().map(|error| (start(error), told(error))).collect();
        let mut syntax = Syntax { errors: Vec::new(), guesses: Vec::new() };
        for (span, is_text) in values(text, root) {
            let (first, last) = (lines.at(span.start), lines.at(span.end));
            let inside = |at: usize| (span.start..=span.end).contains(&at);
            if left.iter().any(|(at, _)| inside(*at)) {
                syntax.guesses.push(first..=last);
            }
            let is_unclosed =
                |(at, what): &&(usize, String)| *at == span.end && (is_text || what.starts_with("unclosed"));
            // A value without an end swallows the rest of the file and causes an error on each line of it.
            if let Some((_, what)) = left.iter().find(is_unclosed) {
                syntax.errors.push((first, what.clone()));
                left.retain(|(at, _)| !inside(*at));
            }
        }
        for (at, what) in left {
            let line = lines.at(at);
            let is_header = |line: &str| line.trim_start().starts_with('[');
            let is_guessed = syntax.guesses.iter().any(|guess| guess.contains(&line));
            // Keys below a broken header are parsed as if they stood above it.
            let below = match text.lines().nth(line - 1) {
                Some(broken) if is_header(broken) && !is_guessed => {
                    text.lines().skip(line).take_while(|line| !is_header(line)).count()
                }
                _ => 0,
            };
            syntax.guesses.push(line..=line + below);
            syntax.errors.push((line, what));
        }
        // The first error of a line causes the others.
        syntax.errors.sort_by_key(|(line, _)| *line);
        syntax.errors.dedup_by_key(|(line, _)| *line);
        syntax
    }

    /// Whether the meaning of a line is the parser's guess.
    pub(super) fn is_guess(&self, line: usize) -> bool {
        self.guesses.iter().any(|guess| guess.contains(&line))
    }
}

/// The places where the lines of a text end, so that finding a line does not read the text again.
#[derive(Debug)]
pub(super) struct LineEnds {
    ends: Vec<usize>,
}

impl LineEnds {
    pub(super) fn of(text: &str) -> LineEnds {
        LineEnds { ends: memchr::memchr_iter(b'\n', text.as_bytes()).collect() }
    }

    /// The line of an offset, counted from 1.
    pub(super) fn at(&self, offset: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < offset)
    }
}

fn start(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

fn told(error: &Error) -> String {
    error.message().lines().collect::<Vec<_>>().join("; ")
}

/// The values that can span lines, and whether each is a string.
fn values(text: &str, table: &DeTable<'_>) -> Vec<(Range<usize>, bool)> {
    // The span of a table with a header is the span of the header.
    let is_headed =
        |value: &Spanned<DeValue<'_>>| !text[value.span().start.min(text.len())..].starts_with('{');
    let mut found = Vec::new();
    for (_, value) in table {
        match value.get_ref() {
            DeValue::Table(inner) if is_headed(value) => found.extend(values(text, inner)),
            DeValue::Array(items)
                if items.iter().any(|item| item.get_ref().is_table() && is_headed(item)) =>
            {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|inner| found.extend(values(text, inner)));
            }
            DeValue::Table(_) | DeValue::Array(_) => found.push((value.span(), false)),
            DeValue::String(_) => found.push((value.span(), true)),
            _ => {}
        }
    }
    found
}

/// If the text is in another well-known format: the line on which it begins, and the name of the format.
pub(super) fn foreign(text: &str) -> Option<(usize, &'static str)> {
    let mut lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let (number, first) = lines.find(|(_, line)| !line.is_empty() && !line.starts_with('#'))?;
    let is_key = |key: &str| {
        let key = key.trim_matches(['"', '\'']);
        !key.is_empty() && key.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-.".contains(sign))
    };
    let is_yaml = first == "---"
        || first.starts_with("- ")
        || first
            .split_once(':')
            .is_some_and(|(key, rest)| is_key(key) && (rest.is_empty() || rest.starts_with(' ')));
    match first.starts_with('{') {
        true => Some((number, "JSON")),
        false => is_yaml.then_some((number, "YAML")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax(text: &str) -> Syntax {
        let (root, errors) = DeTable::parse_recoverable(text);
        Syntax::of(text, &LineEnds::of(text), root.get_ref(), &errors)
    }

    #[test]
    fn unclosed_value_is_one_error_at_its_start() {
        for (text, said) in [
            ("[access]\nroutes = [\"chat\"\n[log]\nlevel = \"x\"\n", "unclosed array, expected `]`"),
            ("[access]\nroutes = [\"chat\",\n[log]", "unclosed array, expected `]`"),
            ("[access]\nroutes = [", "unclosed array, expected `]`"),
            ("[log]\nx = { a = 1\nlevel = \"x\"\n[y]\nz = 1\n", "unclosed inline table, expected `}`"),
            ("[log]\nx = \"\"\"a\nlevel = 1\n[y]\n", "invalid multi-line basic string, expected `\"`"),
        ] {
            let syntax = syntax(text);
            assert_eq!(syntax.errors, [(2, said.to_owned())], "{text}");
            assert!(!syntax.is_guess(1) && (2..=text.lines().count()).all(|line| syntax.is_guess(line)));
        }
    }

    #[test]
    fn unclosed_header_makes_only_its_own_table_uncertain() {
        for header in ["[proxy", "[[proxy]", "[pro xy]", "  [proxy"] {
            let syntax = syntax(&format!("{header}\na = 1\n\nb = 2\n[log]\nc = 3\n"));
            assert_eq!(syntax.errors.len(), 1, "{header}: {syntax:?}");
            assert!((1..=4).all(|line| syntax.is_guess(line)) && !syntax.is_guess(5) && !syntax.is_guess(6));
        }
    }

    #[test]
    fn independent_syntax_errors_are_each_reported() {
        let syntax = syntax("[a]\nb = \nc = 1\nd = [\n\"x\",\n y,\n]\ne = 1 1\n");
        let lines: Vec<_> = syntax.errors.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 6, 8], "{syntax:?}");
        let guessed: Vec<_> = (1..=8).filter(|line| syntax.is_guess(*line)).collect();
        assert_eq!(guessed, [2, 4, 5, 6, 7, 8], "{syntax:?}");
    }

    #[test]
    fn yaml_and_json_are_recognized_by_their_first_line() {
        for (text, format) in [
            ("proxy:\n  listen: x\n", Some((1, "YAML"))),
            ("# ours\n\nlisten: 127.0.0.1:1\n", Some((3, "YAML"))),
            ("---\nproxy:\n", Some((1, "YAML"))),
            ("- a\n", Some((1, "YAML"))),
            ("{ \"proxy\": {} }", Some((1, "JSON"))),
            ("[proxy]\nlisten: x\n", None),
            ("listen = \"127.0.0.1:1\n", None),
            ("server { listen 80; }", None),
            ("", None),
        ] {
            assert_eq!(foreign(text), format, "{text}");
        }
    }
}
