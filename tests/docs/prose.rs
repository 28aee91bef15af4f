//! Each paragraph is one line, so that a change of one word is a change of one line.

use super::page::{Page, pages};

/// The numbers of the lines that continue the paragraph of the line before.
fn continued(page: &Page) -> Vec<usize> {
    let mut found = Vec::new();
    // The number of the line before, if it is a paragraph or an item of a list.
    let mut before = None;
    for (number, line) in page.prose() {
        let text = line.trim_start();
        let is_item =
            text.starts_with("- ") || text.split_once(". ").is_some_and(|(start, _)| is_number(start));
        let is_other = text.is_empty() || text.starts_with(['#', '|', '!', '>', '<']);
        if !is_item && !is_other && before == Some(number - 1) {
            found.push(number);
        }
        before = (!is_other).then_some(number);
    }
    found
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn paragraph_is_one_line() {
    let wrong: Vec<_> = pages()
        .iter()
        .flat_map(|page| continued(page).into_iter().map(|line| format!("{}:{line}", page.path.display())))
        .collect();
    assert!(wrong.is_empty(), "join these lines with the lines before them: {wrong:#?}");
}

#[test]
fn wrapped_paragraphs_and_items_are_found() {
    let text =
        "# A\nB\nC\n\n- d\n  e\n- f\n1. g\n   h\n\n```\ni\nj\n```\nk\n| l |\n| m |\n![n](o)\n".to_owned();
    assert_eq!(continued(&Page { path: "x.md".into(), text }), [3, 6, 9]);
}
