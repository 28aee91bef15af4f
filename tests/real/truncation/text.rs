//! Texts of three kinds, from files that are on the machine anyway.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{RngExt, rngs::StdRng};
use serde_json::Value;

use crate::process::cache;

pub(super) const KINDS: [&str; 3] = ["English", "code", "CJK"];

/// The texts, and the bytes per token of each as far as they are known.
pub(super) struct Texts {
    texts: [String; 3],
    bytes: [f64; 3],
    tokens: [f64; 3],
}

impl Texts {
    pub(super) fn read() -> Texts {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let english = files(&root.join("docs"), "md");
        let code = ["src", "crates"].iter().flat_map(|folder| files(&root.join(folder), "rs")).collect();
        let [english, code] = [english, code].map(|files: Vec<PathBuf>| {
            files.iter().map(|file| fs::read_to_string(file).unwrap()).collect::<String>()
        });
        // The messages of an accessibility checker, which `install.sh` installs.
        let locales = cache("node/node_modules/axe-core/locales");
        let mut cjk = String::new();
        for language in ["zh_CN", "zh_TW", "ja", "ko"] {
            let file = fs::read(locales.join(language).with_extension("json")).expect("install.sh was run");
            strings(&serde_json::from_slice(&file).unwrap(), &mut cjk);
        }
        // A first guess.
        Texts { texts: [english, code, cjk], bytes: [400.0, 350.0, 400.0], tokens: [100.0; 3] }
    }

    /// A part of a text that has about this many tokens.
    pub(super) fn draw(&self, kind: usize, tokens: f64, chance: &mut StdRng) -> String {
        let (text, length) = (&self.texts[kind], (tokens * self.bytes[kind] / self.tokens[kind]) as usize);
        let begin = chance.random_range(0..text.len().checked_sub(length).expect("the text is long enough"));
        let [begin, end] = [begin, begin + length].map(|at| text.floor_char_boundary(at));
        text[begin..end].to_owned()
    }

    pub(super) fn learn(&mut self, kind: usize, bytes: usize, tokens: u64) {
        self.bytes[kind] += bytes as f64;
        self.tokens[kind] += tokens as f64;
    }

    /// The expected tokens of a text with this many bytes.
    pub(super) fn tokens(&self, kind: usize, bytes: usize) -> f64 {
        bytes as f64 * self.tokens[kind] / self.bytes[kind]
    }
}

/// Splits a text into this many parts of about the same length.
pub(super) fn parts(text: &str, number: usize) -> Vec<&str> {
    let ends: Vec<_> =
        (0..=number).map(|part| text.floor_char_boundary(text.len() * part / number)).collect();
    ends.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// The files below a folder with this extension, in their order.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let each = entries.into_iter().flat_map(|entry| match entry.is_dir() {
        true => files(&entry, extension),
        false => vec![entry],
    });
    each.filter(|file| file.extension().is_some_and(|found| found == extension)).collect()
}

/// Adds each string of a document as a line.
fn strings(document: &Value, text: &mut String) {
    match document {
        Value::String(string) => text.extend([string, "\n"]),
        Value::Array(values) => values.iter().for_each(|value| strings(value, text)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, text)),
        _ => {}
    }
}
