//! The panels and alerts that prose names exist.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::page::pages;

/// The panels of each dashboard, by its short name.
fn panels() -> BTreeMap<String, Vec<String>> {
    let of_file = |path: std::path::PathBuf| {
        let json: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let name = json["title"].as_str().unwrap().trim_start_matches("Streamgauge / ").to_owned();
        // A closed row contains its panels.
        let inside = |panel: &Value| panel["panels"].as_array().cloned().unwrap_or_default();
        let top = json["panels"].as_array().unwrap().iter();
        let all = top.flat_map(|panel| [panel.clone()].into_iter().chain(inside(panel)));
        (name, all.map(|panel| panel["title"].as_str().unwrap().to_owned()).collect())
    };
    fs::read_dir("grafana/dashboards").unwrap().map(|entry| of_file(entry.unwrap().path())).collect()
}

#[test]
fn documented_panel_is_on_named_dashboard() {
    let panels = panels();
    let mut named = 0;
    for page in pages() {
        // A paragraph may break between the two names.
        let text = page.text.replace('\n', " ");
        for (dashboard, titles) in &panels {
            for rest in text.split(&format!("{dashboard}, \"")).skip(1) {
                let title = rest.split('"').next().unwrap();
                if title != "Panel" {
                    let there = titles.iter().any(|known| known == title);
                    assert!(there, "{}: {dashboard} has no panel \"{title}\"", page.path.display());
                    named += 1;
                }
            }
        }
    }
    assert!(named >= 20, "{named} panels are named");
}

#[test]
fn documented_alert_exists() {
    let rules = fs::read_to_string("prometheus/rules/alerts.yml").unwrap();
    let mut named = 0;
    for page in pages() {
        for (place, span) in page.spans().into_iter().filter(|(_, span)| span.starts_with("Streamgauge")) {
            assert!(rules.contains(&format!("- alert: {span}\n")), "{place}: there is no alert {span}");
            named += 1;
        }
    }
    assert!(named > 0, "some page names an alert");
}
