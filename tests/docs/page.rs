//! Pages of the documentation, and what is in them.

use std::{fs, path::PathBuf};

/// Where pages are.
const FOLDERS: [&str; 7] =
    [".", "docs", "docs/explanation", "docs/how-to", "docs/reference", "grafana", "tests/real"];

/// A file of Markdown.
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A block between fences.
pub(crate) struct Block {
    /// `docs/how-to/deploy.md, line 12`, for messages.
    pub(crate) place: String,
    /// What follows the fence; empty: commands for a shell.
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every page, by path.
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
    /// Its lines outside of blocks, with their numbers.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut inside = false;
        let lines = self.text.lines().enumerate().filter(|(_, line)| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        });
        lines.map(|(number, line)| (number + 1, line)).collect()
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    let place = format!("{}, line {}", self.path.display(), number + 1);
                    open = Some(Block { place, language: language.to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.path.display());
        blocks
    }

    /// What stands between single backquotes in its prose, with its place.
    pub(crate) fn spans(&self) -> Vec<(String, &str)> {
        let mut spans = Vec::new();
        for (number, line) in self.prose() {
            let place = format!("{}, line {number}", self.path.display());
            spans.extend(line.split('`').skip(1).step_by(2).map(|span| (place.clone(), span)));
        }
        spans
    }

    /// The anchors that its headings have on GitHub.
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
