//! Reads the file as TOML, in which every value keeps its line.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Entry, Resolved,
    syntax::{self, LineEnds, Syntax},
};
use crate::{
    config::{
        certificate::{self, Files},
        entry::{self, ENTRY_KEYS},
        field::{Given, wrong_type},
        key,
        mistake::{Mistake, Problem, SettingPlace},
        setting::{self, SETTINGS},
        suggest,
    },
    upstream::StreamLimit,
};

const UPSTREAM: &str = "upstream";
const KEY: &str = "key";

/// The advice for a file in another format.
const SETTINGS_IN_TOML: &str =
    "write [proxy] on a line of its own, and listen = \"127.0.0.1:11440\" below it";
const KEYS_IN_TOML: &str = "write [[key]] on a line of its own, and name = \"alice\" below it";

/// Applies the settings of the file and returns its upstreams.
pub(super) fn apply(resolved: &mut Resolved, path: &Path, text: &str, out: &mut Vec<Mistake>) -> Vec<Entry> {
    read(Origin::File(path), text, SETTINGS_IN_TOML, out, |file, root, out| file.root(resolved, root, out))
}

/// Adds the keys of a file that contains nothing else.
pub(super) fn apply_keys(resolved: &mut Resolved, path: &Path, text: &str, out: &mut Vec<Mistake>) {
    read(Origin::File(path), text, KEYS_IN_TOML, out, |file, root, out| file.only_keys(resolved, root, out));
}

/// Adds the keys of a text of the store.
pub(super) fn apply_stored_keys(resolved: &mut Resolved, name: &str, text: &str, out: &mut Vec<Mistake>) {
    read(Origin::Store(name), text, KEYS_IN_TOML, out, |file, root, out| file.only_keys(resolved, root, out));
}

/// Parses a file and reports its mistakes in the order of its lines. `in_toml` advises on a file in another format.
fn read<T: Default>(
    origin: Origin<'_>,
    text: &str,
    in_toml: &str,
    out: &mut Vec<Mistake>,
    visit: impl FnOnce(&File<'_>, &DeTable<'_>, &mut Vec<Mistake>) -> T,
) -> T {
    let file = File { origin, lines: LineEnds::of(text) };
    let (root, errors) = DeTable::parse_recoverable(text);
    if let Some((line, format)) = syntax::foreign(text).filter(|_| !errors.is_empty()) {
        let what = format!("the {} is {format}, but the configuration must be TOML", origin.noun());
        out.push(Problem::new(what, in_toml).at(origin.line(line), ""));
        return T::default();
    }
    let mut mistakes = Vec::new();
    let visited = visit(&file, root.get_ref(), &mut mistakes);
    let syntax = Syntax::of(text, &file.lines, root.get_ref(), &errors);
    // The meaning of a broken line is the parser's guess, so only the syntax error is reported.
    mistakes.retain(|mistake| !syntax.is_guess(line(mistake)));
    let mut found: Vec<Mistake> = syntax.errors.into_iter().map(|error| file.syntax(error)).collect();
    found.append(&mut mistakes);
    found.sort_by_key(line);
    out.append(&mut found);
    visited
}

fn line(mistake: &Mistake) -> usize {
    match mistake.place {
        SettingPlace::File(_, line) | SettingPlace::Store(_, line) => line,
        _ => 0,
    }
}

/// Where a text is from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    File(&'a Path),
    /// The key of the store.
    Store(&'a str),
}

impl Origin<'_> {
    fn line(self, line: usize) -> SettingPlace {
        match self {
            Origin::File(path) => SettingPlace::File(path.to_owned(), line),
            Origin::Store(key) => SettingPlace::Store(key.to_owned(), line),
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Origin::File(_) => "file",
            Origin::Store(_) => "text",
        }
    }
}

struct File<'a> {
    origin: Origin<'a>,
    lines: LineEnds,
}

impl File<'_> {
    fn place(&self, offset: usize) -> SettingPlace {
        self.origin.line(self.lines.at(offset))
    }

    fn syntax(&self, (line, what): (usize, String)) -> Mistake {
        let advice = "correct this line; put text in quotes";
        Problem::new(what, advice).at(self.origin.line(line), "")
    }

    fn root(&self, resolved: &mut Resolved, root: &DeTable<'_>, out: &mut Vec<Mistake>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (key, value) in root {
            let section = key.get_ref().as_ref();
            if section == UPSTREAM {
                entries = self.upstreams(value, out);
            } else if section == KEY {
                self.keys(resolved, value, out);
            } else if setting::leaves(section).next().is_none() {
                out.push(unknown_section(section).at(self.place(key.span().start), section));
            } else if let DeValue::Table(table) = value.get_ref() {
                self.section(resolved, section, table, out);
            } else {
                let problem = wrong_type(value.get_ref(), "a table", &format!("[{section}]"));
                out.push(problem.at(self.place(value.span().start), section));
            }
        }
        entries
    }

    fn section(&self, resolved: &mut Resolved, section: &str, table: &DeTable<'_>, out: &mut Vec<Mistake>) {
        for (leaf, value) in table {
            let key = format!("{section}.{}", leaf.get_ref());
            match setting::find(&key) {
                Some(setting) => {
                    let place = self.place(leaf.span().start);
                    resolved.set(setting, place, Given::Toml(value.get_ref()), out);
                }
                None => {
                    out.push(unknown_leaf(section, leaf.get_ref()).at(self.place(leaf.span().start), key))
                }
            }
        }
    }

    fn upstreams(&self, value: &Spanned<DeValue<'_>>, out: &mut Vec<Mistake>) -> Vec<Entry> {
        let place = self.place(value.span().start);
        match value.get_ref() {
            DeValue::Array(array) if array.is_empty() => {
                let problem = Problem::new("the list is empty", "add an upstream, or remove the key");
                out.push(problem.at(place, UPSTREAM));
                Vec::new()
            }
            DeValue::Array(array) => array.iter().filter_map(|entry| self.entry(entry, out)).collect(),
            other => {
                let problem = wrong_type(other, "an array of tables", "[[upstream]]");
                out.push(problem.at(place, UPSTREAM));
                Vec::new()
            }
        }
    }

    fn keys(&self, resolved: &mut Resolved, value: &Spanned<DeValue<'_>>, out: &mut Vec<Mistake>) {
        let DeValue::Array(array) = value.get_ref() else {
            let problem = wrong_type(value.get_ref(), "an array of tables", "[[key]]");
            return out.push(problem.at(self.place(value.span().start), KEY));
        };
        for entry in array {
            let place = self.place(entry.span().start);
            let DeValue::Table(table) = entry.get_ref() else {
                out.push(wrong_type(entry.get_ref(), "a table", "[[key]]").at(place, KEY));
                continue;
            };
            let (read, mistakes) = key::read(table, matches!(self.origin, Origin::Store(_)));
            for (offset, about, problem) in mistakes {
                out.push(
                    problem.at(offset.map_or_else(|| place.clone(), |offset| self.place(offset)), about),
                );
            }
            if let Some(read) = read {
                resolved.config.sidecar.admission.keys.push(read);
                resolved.key_origins.push(place);
            }
        }
    }

    /// The keys of a file that contains nothing else. A name that is not expected is not repeated, since it may be a
    /// key.
    fn only_keys(&self, resolved: &mut Resolved, root: &DeTable<'_>, out: &mut Vec<Mistake>) {
        for (name, value) in root {
            if name.get_ref() == KEY {
                self.keys(resolved, value, out);
            } else {
                let advice = "write [[key]] above the line, or move the setting to the configuration";
                let problem =
                    Problem::new(format!("a {} of keys contains only [[key]]", self.origin.noun()), advice);
                out.push(problem.at(self.place(name.span().start), ""));
            }
        }
        if root.is_empty() {
            let advice = "write a [[key]], or key = [] if there is none";
            let what = format!("the {} contains no key", self.origin.noun());
            out.push(Problem::new(what, advice).at(self.place(0), KEY));
        }
    }

    fn entry(&self, value: &Spanned<DeValue<'_>>, out: &mut Vec<Mistake>) -> Option<Entry> {
        let place = self.place(value.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            out.push(wrong_type(value.get_ref(), "a table", "[[upstream]]").at(place, UPSTREAM));
            return None;
        };
        let mut entry = Entry::new(None, None, place.clone(), out);
        let mut files = Files::default();
        for (leaf, value) in table {
            let (given, at) = (Given::Toml(value.get_ref()), self.place(leaf.span().start));
            let key = format!("{UPSTREAM}.{}", leaf.get_ref());
            let outcome = match leaf.get_ref().as_ref() {
                "name" => given.text("\"gpu0\"").and_then(|name| {
                    entry.name = Some(name.to_owned());
                    entry::check_name(name)
                }),
                "url" => given
                    .text("\"http://127.0.0.1:11434\"")
                    .and_then(entry::parse_url)
                    .map(|url| entry.url = Some(url)),
                file if certificate::LEAVES.contains(&file) => files.set(file, given, at.clone()),
                "max_streams" => entry::stream_limit(given).map(|limit| entry.max_streams = Some(limit)),
                "min_tokens_per_second" => given
                    .count(&(1..=1_000_000))
                    .map(|least| entry.min_tokens_per_second = u32::try_from(least).ok()),
                "weight" => given.count(&(1..=1_000)).map(|weight| entry.weight = Some(weight)),
                unknown => {
                    Err(suggest::unknown_key(UPSTREAM, unknown, ENTRY_KEYS.iter().map(|known| known.leaf)))
                }
            };
            if let Err(problem) = outcome {
                out.push(problem.at(at, key));
            }
        }
        if !table.contains_key("url") {
            let advice = "add one, as in url = \"http://127.0.0.1:11434\"";
            out.push(Problem::new("the upstream has no url", advice).at(place.clone(), "upstream.url"));
        }
        if entry.min_tokens_per_second.is_some()
            && !matches!(entry.max_streams, Some(StreamLimit::Auto { .. }))
        {
            let advice = "add max_streams = \"auto\", or remove it";
            let problem = Problem::new("it has an effect only with max_streams = \"auto\"", advice);
            out.push(problem.at(place.clone(), "upstream.min_tokens_per_second"));
        }
        entry.tls = entry.url.as_ref().and_then(|url| files.trust(url, &place, out));
        Some(entry)
    }
}

fn unknown_section(section: &str) -> Problem {
    let sections = setting::sections();
    let elsewhere = SETTINGS.iter().find(|setting| setting.leaf() == section);
    let advice = match (suggest::among(section, sections.iter().copied().chain([UPSTREAM, KEY])), elsewhere) {
        (Some(likely), _) => suggest::did_you_mean(likely),
        (None, Some(setting)) => suggest::did_you_mean(setting.key),
        (None, None) => format!("choose one of {}, {UPSTREAM} and {KEY}", sections.join(", ")),
    };
    Problem::new("unknown section", advice)
}

fn unknown_leaf(section: &str, leaf: &str) -> Problem {
    let problem = suggest::unknown_key(section, leaf, setting::leaves(section).map(setting::Setting::leaf));
    match SETTINGS.iter().find(|setting| setting.leaf() == leaf) {
        Some(elsewhere) => Problem { advice: suggest::did_you_mean(elsewhere.key), ..problem },
        None => problem,
    }
}
