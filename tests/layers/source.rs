//! Finds the paths in Rust source: of modules of this crate, and of other crates.
//!
//! A full parser would be slower to build than everything else. This one reads words, `::`, braces, and the ends of
//! comments and strings. That is enough for paths, since a brace after `::` is a group of `use`.

/// The target of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An item of this crate, from its root.
    Module(Vec<String>),
    /// Another crate, or a name in scope, which looks the same.
    Crate(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Keyword(&'a str),
    Colons,
    Mark(char),
}

/// Words that may stand before a path and never begin one.
const KEYWORDS: &[&str] = &[
    "as", "dyn", "else", "extern", "for", "if", "impl", "in", "match", "mod", "mut", "pub", "return", "use",
    "where",
];

/// All paths in the source text of a module.
pub(super) fn named(module: &[String], source: &str) -> Vec<Target> {
    let tokens = tokens(source);
    let (mut found, mut depth, mut at) = (Vec::new(), 0_usize, 0);
    // The modules inside the file, each with the depth of braces at which it lies.
    let mut inside: Vec<(usize, &str)> = Vec::new();
    while at < tokens.len() {
        let before = at.checked_sub(1).map(|before| tokens[before]);
        let root = tokens[at] == Token::Colons && !matches!(before, Some(Token::Word(_) | Token::Mark('>')));
        let begins = matches!(tokens[at], Token::Word(_)) && before != Some(Token::Colons);
        match tokens[at] {
            Token::Mark('{') => {
                depth += 1;
                if let (Some(Token::Word(name)), Some(Token::Keyword("mod"))) =
                    (before, at.checked_sub(2).map(|keyword| tokens[keyword]))
                {
                    inside.push((depth, name));
                }
            }
            Token::Mark('}') => {
                inside.pop_if(|(opened, _)| *opened == depth);
                depth = depth.saturating_sub(1);
            }
            Token::Word(_) | Token::Colons if root || begins => {
                let is_import = matches!(before, Some(Token::Keyword("use") | Token::Word("crate")));
                let mut paths = Vec::new();
                at = expand(&tokens, at + usize::from(root), Vec::new(), &mut paths);
                let mut here = module.to_vec();
                here.extend(inside.iter().map(|(_, name)| (*name).to_owned()));
                let paths = paths.into_iter().filter(|path| is_import || path.len() > 1);
                found.extend(paths.filter_map(|path| resolve(&here, &path)));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows a path through its groups. Returns its end.
fn expand<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    mut path: Vec<&'a str>,
    paths: &mut Vec<Vec<&'a str>>,
) -> usize {
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) => path.push(word),
            Some(Token::Mark('*')) => path.push("*"),
            Some(Token::Mark('{')) => {
                at += 1;
                while let Some(token) = tokens.get(at).filter(|token| **token != Token::Mark('}')) {
                    match token {
                        Token::Keyword("as") => at += 2,
                        Token::Word(_) | Token::Mark('*' | '{') => {
                            at = expand(tokens, at, path.clone(), paths);
                        }
                        _ => at += 1,
                    }
                }
                return at + 1;
            }
            _ => {
                paths.push(path);
                return at;
            }
        }
        at += 1;
        if tokens.get(at) == Some(&Token::Colons) {
            at += 1;
        } else {
            paths.push(path);
            return at;
        }
    }
}

fn resolve(here: &[String], path: &[&str]) -> Option<Target> {
    let from = |around: &[String], rest: &[&str]| {
        let rest = rest.iter().map(|segment| (*segment).to_owned());
        Some(Target::Module(around.iter().cloned().chain(rest).collect()))
    };
    match path.split_first()? {
        (&"crate" | &"streamgauge", rest) => from(&[], rest),
        (&"self", rest) => from(here, rest),
        (&"super", _) => {
            let up = path.iter().take_while(|segment| **segment == "super").count();
            from(&here[..here.len().saturating_sub(up)], &path[up..])
        }
        (first, _) => Some(Target::Crate((*first).to_owned())),
    }
}

/// The words and marks, without comments, strings and lifetimes.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let word = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
        let hashes = rest[word..].len() - rest[word..].trim_start_matches('#').len();
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if matches!(&rest[..word], "r" | "br" | "cr") && rest[word + hashes..].starts_with('"') {
            let (opened, end) = (word + hashes + 1, format!("\"{}", "#".repeat(hashes)));
            rest[opened..].find(&end).map_or(rest.len(), |inner| opened + inner + end.len())
        } else if word > 0 {
            let word = &rest[..word];
            tokens.push(if KEYWORDS.contains(&word) { Token::Keyword(word) } else { Token::Word(word) });
            word.len()
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            let mut next = rest[1..].chars();
            let (inner, after) = (next.next(), next.next());
            // A lifetime has no second quote. Its name does not matter here.
            let lifetime = || 1 + rest[1..].find(|c| !is_of_word(c)).unwrap_or(rest.len() - 1);
            if inner == Some('\\') || after == Some('\'') { quoted(rest, '\'') } else { lifetime() }
        } else if rest.starts_with("::") {
            tokens.push(Token::Colons);
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Mark(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a block comment, including nested ones.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let pair = text.as_bytes().get(at..at + 2);
        match pair {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a quoted literal.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}
