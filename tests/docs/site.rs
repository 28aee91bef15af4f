//! The site that mdbook builds of docs/: it has every page, and no link leads to a file outside of the site.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    links::{led_to, plain, targets},
    page::{Page, pages},
};

/// The source of the site.
const SOURCE: &str = "docs";
/// The table of contents, which is not a page.
pub(crate) const CONTENTS: &str = "docs/SUMMARY.md";

fn is_in_site(path: &Path) -> bool {
    path.starts_with(SOURCE)
}

/// The links of a page to files that are not in the site. mdbook copies such links unchanged, so that they would be
/// dead.
fn leaving(page: &Page) -> Vec<String> {
    let relative = targets(page).into_iter().filter(|(_, target)| !target.contains("://"));
    let out = relative.filter(|(_, target)| led_to(page, target).is_none_or(|(path, _)| !is_in_site(&path)));
    out.map(|(line, target)| format!("{}, line {line}: {target}", page.path.display())).collect()
}

#[test]
fn site_contents_name_every_page_once() {
    let pages = pages();
    let contents = pages.iter().find(|page| page.path == Path::new(CONTENTS)).unwrap();
    let named: Vec<PathBuf> = targets(contents)
        .iter()
        .filter_map(|(_, target)| led_to(contents, target))
        .map(|(path, _)| path)
        .collect();
    let there: BTreeSet<&PathBuf> = pages
        .iter()
        .map(|page| &page.path)
        .filter(|path| is_in_site(path) && *path != Path::new(CONTENTS))
        .collect();
    assert_eq!(named.iter().collect::<BTreeSet<_>>(), there);
    assert_eq!(named.len(), there.len(), "one is named twice");
}

#[test]
fn site_link_never_leaves_the_site() {
    let wrong: Vec<_> = pages().iter().filter(|page| is_in_site(&page.path)).flat_map(leaving).collect();
    assert!(wrong.is_empty(), "write them as https://github.com/…/blob/main/…: {wrong:#?}");
}

#[test]
fn site_link_that_leaves_the_site_is_found() {
    let text = "[a](../README.md) [b](how-to/b.md) [c](https://example.com/c.md) [d](#e)\n".to_owned();
    let page = Page { path: PathBuf::from("docs/x.md"), text };
    assert_eq!(leaving(&page), ["docs/x.md, line 1: ../README.md"]);
}

#[test]
fn site_configuration_builds_these_pages_and_creates_none() {
    let book: toml::Table = fs::read_to_string("book.toml").unwrap().parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some(SOURCE));
    assert_eq!(book["build"]["create-missing"].as_bool(), Some(false));
}

/// The values of an attribute in a page of the site.
fn values<'a>(html: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> {
    let opening = format!(" {attribute}=\"");
    html.match_indices(&opening)
        .map(|(at, opening)| html[at + opening.len()..].split('"').next().unwrap())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Every page of a built site, by its path.
fn built(site: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![site.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "html") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(site).unwrap().to_owned(), text);
            }
        }
    }
    found
}

#[test]
#[ignore = "it takes mdbook, which .ci/run installs"]
fn built_site_link_leads_to_existing_page_and_heading() {
    let site = TempDir::new().unwrap();
    let output = Command::new("mdbook").args(["build", "--dest-dir"]).arg(site.path()).output();
    let output = output.unwrap_or_else(|error| panic!("mdbook: {error}; .ci/run says how to install it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    let pages = built(site.path());
    let (mut wrong, mut links) = (Vec::new(), 0);
    // 404.html and print.html are mdbook's own, with other paths.
    let ours = pages
        .iter()
        .filter(|(path, _)| !["404.html", "print.html", "toc.html"].map(Path::new).contains(&path.as_path()));
    for (path, html) in ours {
        for target in values(html, "href").filter(|target| !target.contains("://")) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { plain(&path.parent().unwrap().join(file)) };
            let heading = |html: &String| anchor.is_empty() || values(html, "id").any(|id| id == anchor);
            let there =
                pages.get(&file).map_or(site.path().join(&file).exists() && anchor.is_empty(), heading);
            wrong.extend((!there).then(|| format!("{}: {target}", path.display())));
        }
    }
    assert!(links > 100, "{links} links were read");
    assert!(wrong.is_empty(), "they lead nowhere: {wrong:#?}");
}
