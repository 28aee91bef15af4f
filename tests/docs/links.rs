//! The targets of links.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use super::page::{Page, pages};

/// A link to this repository is a link to a file.
const OURS: [&str; 2] = [
    "https://github.com/streamgauge/streamgauge/blob/main/",
    "https://github.com/streamgauge/streamgauge/tree/main/",
];

/// The targets of a page's links and pictures, with their lines.
pub(crate) fn targets(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in page.prose() {
        // A link in a code span is not a link.
        let outside: String = line.split('`').step_by(2).collect();
        for rest in outside.split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            found.push((number, target.split(' ').next().unwrap().to_owned()));
        }
    }
    found
}

/// Normalizes `docs/../README.md` to `README.md`.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leads out", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The file and the anchor of a link; `None` for a link to another site.
pub(crate) fn led_to(page: &Page, target: &str) -> Option<(PathBuf, String)> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match OURS.iter().find_map(|ours| path.strip_prefix(ours)) {
        Some(path) => PathBuf::from(path),
        None if path.contains("://") => return None,
        None if path.is_empty() => page.path.clone(),
        None => plain(&page.path.parent().unwrap().join(path)),
    };
    Some((path, anchor.to_owned()))
}

#[test]
fn link_leads_to_existing_file_and_heading() {
    let pages = pages();
    let (mut wrong, mut links) = (Vec::new(), 0);
    for page in &pages {
        for (line, target) in targets(page) {
            links += 1;
            let Some((path, anchor)) = led_to(page, &target) else {
                let secure = target.starts_with("https://");
                wrong.extend((!secure).then(|| format!("{}, line {line}: {target}", page.path.display())));
                continue;
            };
            let other = pages.iter().find(|other| other.path == path);
            let there = other.map_or(path.exists() && anchor.is_empty(), |other| {
                anchor.is_empty() || other.anchors().contains(&anchor)
            });
            wrong.extend((!there).then(|| format!("{}, line {line}: {target}", page.path.display())));
        }
    }
    assert!(links > 30, "{links} links were read");
    assert!(wrong.is_empty(), "they lead nowhere: {wrong:#?}");
}

#[test]
fn page_is_reachable_from_readme() {
    let pages = pages();
    let (mut reached, mut next) = (BTreeSet::new(), vec![PathBuf::from("README.md")]);
    while let Some(path) = next.pop() {
        let Some(page) = pages.iter().find(|page| page.path == path) else { continue };
        if reached.insert(path) {
            next.extend(
                targets(page).iter().filter_map(|(_, target)| led_to(page, target)).map(|(path, _)| path),
            );
        }
    }
    let lost: Vec<_> = pages
        .iter()
        .map(|page| &page.path)
        .filter(|path| !reached.contains(*path) && *path != Path::new(super::site::CONTENTS))
        .collect();
    assert!(lost.is_empty(), "nobody finds {lost:?}");
}

#[test]
fn anchor_matches_github_anchor() {
    let text = "# A `b`: c, d's\n```\n# no heading\n```\n## Two-part_name (x)\n".to_owned();
    let page = Page { path: PathBuf::from("x.md"), text };
    assert_eq!(page.anchors(), ["a-b-c-ds", "two-part_name-x"]);
    let page =
        Page { path: PathBuf::from("docs/x.md"), text: "[a](../b.md#c) `[d](e)` ![f](g.png)".to_owned() };
    let found: Vec<_> = targets(&page).into_iter().map(|(_, target)| target).collect();
    assert_eq!(found, ["../b.md#c", "g.png"]);
    assert_eq!(led_to(&page, "../b.md#c"), Some((PathBuf::from("b.md"), "c".to_owned())));
    assert_eq!(
        led_to(&page, &format!("{}docs/y.md", OURS[0])),
        Some((PathBuf::from("docs/y.md"), String::new()))
    );
}
