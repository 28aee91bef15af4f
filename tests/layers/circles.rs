//! Circles: files of a package that need each other.
//!
//! A file needs the file that defines an item that it names. A name is followed through imports and re-exports to its
//! definition, so a module may re-export what its parts define. A module and a part of it are two files like any others: a
//! part may use what its parent defines only if the parent uses nothing that the part defines. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Token, tokens};

type Path = Vec<String>;

/// The items that one file defines, imports and names.
#[derive(Debug, Default)]
struct File {
    defines: BTreeSet<String>,
    /// By the name that an item has here, re-exports too.
    imports: BTreeMap<String, Path>,
    /// Paths that the file needs. A re-export needs nothing.
    names: Vec<Path>,
}

/// The files that need each other, directly or through others, each circle in the order of names. A module is a path and its source.
pub(super) fn circles(modules: &[(Path, String)]) -> Vec<Vec<String>> {
    let files: BTreeMap<Path, File> =
        modules.iter().map(|(module, source)| (module.clone(), File::read(source))).collect();
    let needs: BTreeMap<&Path, BTreeSet<Path>> =
        files.iter().map(|(module, file)| (module, needed(&files, module, file))).collect();
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        needs.keys().map(|module| (*module, reachable(&needs, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, there) in reached.iter().filter(|(module, there)| there.contains(*module)) {
        let back = |other: &&&Path| reached[**other].contains(module);
        circles.insert(there.iter().filter(back).map(|file| file.join("::")).collect());
    }
    circles.into_iter().collect()
}

fn needed(files: &BTreeMap<Path, File>, module: &Path, file: &File) -> BTreeSet<Path> {
    let found = file.names.iter().filter_map(|path| definition(files, module, path, 0));
    found.filter(|other| other != module).collect()
}

fn reachable<'a>(needs: &'a BTreeMap<&'a Path, BTreeSet<Path>>, from: &'a Path) -> BTreeSet<&'a Path> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        next.extend(needs[module].iter().filter(|other| found.insert(*other)));
    }
    found
}

/// The file that defines what `path` leads to from `module`.
fn definition(files: &BTreeMap<Path, File>, module: &Path, path: &[String], depth: usize) -> Option<Path> {
    // Two re-exports that name each other do not compile.
    assert!(depth < 32, "{module:?} {path:?}");
    let mut at = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" | "streamgauge" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        _ => {}
    }
    let is_relative = rest.len() == path.len();
    while let Some(first) = rest.first() {
        at.push(first.clone());
        if !files.contains_key(&at) {
            at.pop();
            break;
        }
        rest = &rest[1..];
    }
    let (file, item) = (files.get(&at)?, rest.first()?);
    if file.defines.contains(item) {
        return Some(at);
    }
    let import = file.imports.get(item)?;
    // `use tokio;` brings the crate itself, and a path that begins with a crate leads out of the package.
    if is_relative && import.first() == Some(item) {
        return None;
    }
    let whole: Path = import.iter().chain(&rest[1..]).cloned().collect();
    definition(files, &at, &whole, depth + 1)
}

impl File {
    fn read(source: &str) -> File {
        let tokens = without_tests(tokens(source));
        let (mut file, mut at) = (File::default(), 0);
        while at < tokens.len() {
            let before = at.checked_sub(1).map(|before| tokens[before]);
            match (tokens[at], tokens.get(at + 1)) {
                (Token::Keyword("use"), Some(Token::Word(_) | Token::Mark('{') | Token::Colons)) => {
                    let is_again = matches!(before, Some(Token::Keyword("pub") | Token::Mark(')')));
                    let mut paths = Vec::new();
                    at = tree(&tokens, at + 1, &[], &mut paths);
                    for (path, name) in paths {
                        if !is_again {
                            file.names.push(path.clone());
                        }
                        file.imports.entry(name).or_insert(path);
                    }
                }
                (Token::Word(kind), Some(Token::Word(name))) if DEFINING.contains(&kind) => {
                    file.defines.insert((*name).to_owned());
                    at += 1;
                }
                (Token::Word("macro_rules"), _) => {
                    if let Some(Token::Word(name)) = tokens.get(at + 2) {
                        file.defines.insert((*name).to_owned());
                    }
                    at += 1;
                }
                (Token::Word(first), Some(Token::Colons)) if before != Some(Token::Colons) => {
                    let mut path = vec![first.to_owned()];
                    at += 1;
                    while let (Some(Token::Colons), Some(Token::Word(word))) =
                        (tokens.get(at), tokens.get(at + 1))
                    {
                        path.push((*word).to_owned());
                        at += 2;
                    }
                    file.names.push(path);
                }
                _ => at += 1,
            }
        }
        file
    }
}

/// Words that a name follows which they define.
const DEFINING: &[&str] = &["const", "enum", "fn", "static", "struct", "trait", "type", "union"];

/// The paths of a `use`, each with the name that it brings. Returns where they end.
fn tree(tokens: &[Token<'_>], mut at: usize, before: &[String], paths: &mut Vec<(Path, String)>) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Colons) => at += 1,
            Some(Token::Mark('{')) => {
                at += 1;
                while let Some(token) = tokens.get(at).filter(|token| **token != Token::Mark('}')) {
                    at = if *token == Token::Mark(',') { at + 1 } else { tree(tokens, at, &path, paths) };
                }
                return at + 1;
            }
            Some(Token::Word(word)) => {
                // `{self, …}` brings the module that is around it.
                if *word != "self" || path.is_empty() {
                    path.push((*word).to_owned());
                }
                at += 1;
                if tokens.get(at) == Some(&Token::Colons) {
                    continue;
                }
                let mut name = path.last().cloned().unwrap_or_default();
                if let (Some(Token::Keyword("as")), Some(Token::Word(alias))) =
                    (tokens.get(at), tokens.get(at + 1))
                {
                    name = (*alias).to_owned();
                    at += 2;
                }
                paths.push((path, name));
                return at;
            }
            _ => return at + 1,
        }
    }
}

/// Without the modules that are compiled for tests alone.
fn without_tests(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    const TEST: [Token<'_>; 7] = [
        Token::Mark('#'),
        Token::Mark('['),
        Token::Word("cfg"),
        Token::Mark('('),
        Token::Word("test"),
        Token::Mark(')'),
        Token::Mark(']'),
    ];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_test =
            tokens[at..].starts_with(&TEST) && tokens.get(at + TEST.len()) == Some(&Token::Keyword("mod"));
        if !is_test {
            kept.push(tokens[at]);
            at += 1;
            continue;
        }
        at += TEST.len();
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') => depth -= 1,
                Token::Mark(';') => {}
                _ => continue,
            }
            if depth == 0 {
                break;
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let module =
            |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let modules: Vec<_> =
            files.iter().map(|(name, source)| (module(name), (*source).to_owned())).collect();
        circles(&modules).iter().map(|circle| circle.join(" ")).collect()
    }

    #[test]
    fn files_that_name_each_other_are_a_circle() {
        for (left, right) in [
            ("use super::right::Right; struct Left;", "use super::left::Left; struct Right;"),
            ("fn left() { crate::right::right() }", "use crate::left; fn right() { left::left() }"),
            (
                "use super::right::{self as other}; struct Left(other::Right);",
                "use super::left::*; struct Right(crate::left::Left);",
            ),
        ] {
            assert_eq!(
                found(&[("left", left), ("right", right), ("", "mod left; mod right;")]),
                ["left right"]
            );
        }
    }

    #[test]
    fn parent_and_its_part_that_name_each_other_are_a_circle() {
        let parent = ("parent", "mod part; struct Shared; fn run() { part::run() }");
        let part = ("parent::part", "use super::Shared; fn run(shared: Shared) {}");
        assert_eq!(found(&[parent, part]), ["parent parent::part"]);
    }

    #[test]
    fn circle_of_three_files_is_found() {
        let files = [
            ("a", "use super::b::B; struct A;"),
            ("b", "use super::c::C; struct B;"),
            ("c", "use super::a::A; struct C;"),
            ("d", "use super::a::A; struct D;"),
        ];
        assert_eq!(found(&files), ["a b c"]);
    }

    #[test]
    fn re_export_is_followed_to_the_definition() {
        let parent = ("parent", "mod shared; mod part; pub use shared::Shared; fn run() { part::run() }");
        let part = ("parent::part", "use super::Shared; fn run(shared: Shared) {}");
        let shared = ("parent::shared", "pub struct Shared;");
        assert!(found(&[parent, part, shared]).is_empty());
        let shared = ("parent::shared", "use super::part; pub struct Shared; fn go() { part::run() }");
        assert_eq!(found(&[parent, part, shared]), ["parent::part parent::shared"]);
    }

    #[test]
    fn tests_comments_and_other_crates_are_no_circle() {
        let parent =
            ("parent", "mod part; use tokio::time; struct Shared; fn run() { part::run(); time::now() }");
        for part in [
            "fn run() {} #[cfg(test)] mod tests { use super::super::Shared; }",
            "fn run() {} // super::Shared",
            "use tokio::time; fn run() { time::now() }",
        ] {
            assert!(found(&[parent, ("parent::part", part)]).is_empty(), "{part}");
        }
    }
}
