//! Tokens as text, spaced as rustfmt does where that is simple.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// One line of source.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut words = Vec::new();
    split(tokens.to_token_stream(), &mut words);
    let mut line = String::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 && !is_glued(&words[at - 1], word) {
            line.push(' ');
        }
        line.push_str(word);
    }
    line.replace(",)", ")").replace(", }", " }")
}

fn split(tokens: TokenStream, words: &mut Vec<String>) {
    // A mark that belongs to the next one, as of `->`.
    let mut joint = String::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                words.push(open.to_owned());
                split(group.stream(), words);
                words.push(close.to_owned());
            }
            TokenTree::Punct(mark) => {
                joint.push(mark.as_char());
                let goes_on = mark.spacing() == Spacing::Joint && matches!(mark.as_char(), '-' | ':' | '=');
                if !goes_on {
                    words.push(std::mem::take(&mut joint));
                }
            }
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Literal(literal) => words.push(literal.to_string()),
        }
    }
}

fn is_glued(left: &str, right: &str) -> bool {
    let is_word = |word: &str| word.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let is_keyword = ["dyn", "impl", "mut", "const", "for", "in", "where"].contains(&left);
    match (left, right) {
        (_, "," | ";" | ")" | "]" | ">" | ":" | "." | "") => true,
        ("(" | "[" | "<" | "&" | "::" | "." | "'" | "?" | "#" | "*" | "", _) => true,
        (left, "::") => is_word(left) || left == ">",
        (left, "(") => (is_word(left) && !is_keyword) || left == ">",
        (left, "<") => is_word(left),
        _ => false,
    }
}
