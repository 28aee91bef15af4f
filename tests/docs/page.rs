//! The pages of the documentation and their contents.

use std::{fs, path::PathBuf};

/// The folders of pages.
const FOLDERS: [&str; 12] = [
    ".",
    "crates/collector",
    "crates/lab",
    "crates/meter",
    "crates/simulate",
    "crates/tls",
    "docs",
    "docs/explanation",
    "docs/how-to",
    "docs/reference",
    "grafana",
    "tests/real",
];

/// A Markdown file.
pub(crate) struct Page {
    /// The path from the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced code block.
pub(crate) struct Block {
    /// Its position for messages, such as `docs/how-to/docker.md, line 12`.
    pub(crate) place: String,
    /// The language after the fence. Empty for shell commands.
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every page by its path.
pub(crate) fn pages() -> Vec<Page> {
    let of_folder = |folder: &str| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect::<Vec<_>>()
    };
    let mut paths: Vec<PathBuf> = FOLDERS.into_iter().flat_map(of_folder).collect();
    paths.sort();
    let read = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(".").map_or(path.clone(), PathBuf::from),
    };
    let pages: Vec<_> = paths.into_iter().map(read).collect();
    assert!(pages.len() > 12, "{} pages were found", pages.len());
    pages
}

impl Page {
    /// Its lines outside of code blocks, with their numbers.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let lines = self.text.lines().enumerate().filter(|(_, line)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            !inside && !fence
        });
        lines.map(|(number, line)| (number + 1, line)).collect()
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        // With the indentation of its opening fence, as in a step of a list.
        let mut open: Option<(Block, &str)> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    let place = format!("{}, line {}", self.path.display(), number + 1);
                    let block = Block { place, language: language.to_owned(), text: String::new() };
                    open = Some((block, &line[..line.len() - line.trim_start().len()]));
                }
                (Some(_), Some(_)) => blocks.extend(open.take().map(|(block, _)| block)),
                (None, Some((block, indentation))) => {
                    let bare = line.strip_prefix(*indentation);
                    let bare = bare.or_else(|| line.trim().is_empty().then_some(""));
                    let bare = bare.unwrap_or_else(|| panic!("{}: `{line}` leaves its step", block.place));
                    block.text.extend([bare, "\n"]);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.path.display());
        blocks
    }

    /// The code spans of its prose, with their positions.
    pub(crate) fn spans(&self) -> Vec<(String, &str)> {
        let mut spans = Vec::new();
        for (number, line) in self.prose() {
            let place = format!("{}, line {number}", self.path.display());
            spans.extend(line.split('`').skip(1).step_by(2).map(|span| (place.clone(), span)));
        }
        spans
    }

    /// The anchors of its headings on GitHub.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
        });
        let anchor = |heading: &str| {
            let kept = heading.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        };
        headings.map(anchor).collect()
    }
}

#[test]
fn block_in_list_item_is_read_without_indentation() {
    let text = "1. Do:\n\n   ```toml\n   [a]\n\n   b = 1\n   ```\n\n   `not prose`? Yes.\n".to_owned();
    let page = Page { path: PathBuf::from("x.md"), text };
    let [block] = &page.blocks()[..] else { panic!("one block") };
    assert_eq!((block.language.as_str(), block.text.as_str()), ("toml", "[a]\n\nb = 1\n"));
    assert_eq!(page.spans().len(), 1);
}
