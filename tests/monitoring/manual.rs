//! The queries in the documentation.

use super::{
    contract::{METRICS, look_up},
    page::{recorded, text},
    promql,
};

/// The pages with queries.
const PAGES: [&str; 3] =
    ["docs/explanation/efficiency.md", "docs/how-to/find-a-bottleneck.md", "docs/reference/gpu.md"];

/// A query with its position.
pub(crate) fn queries() -> Vec<(String, String)> {
    let of_page = |page: &&str| {
        let text = text(page);
        let blocks =
            text.split("```promql\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
        blocks.enumerate().map(|(at, query)| (format!("{page}, query {}", at + 1), query)).collect::<Vec<_>>()
    };
    PAGES.iter().flat_map(of_page).collect()
}

#[test]
fn documented_queries_name_existing_metrics_and_labels() {
    let queries = queries();
    assert!(!queries.is_empty());
    for (place, query) in queries {
        for selector in promql::read(&query).selectors {
            let known = look_up(&selector.name, &recorded());
            let known = known.unwrap_or_else(|| panic!("{place}: there is no {}", selector.name));
            for (label, _) in selector.matchers.iter().filter(|(label, _)| label != "le") {
                let has = known.labels.as_ref().is_none_or(|labels| labels.contains(label.as_str()));
                assert!(has, "{place}: {} has no label {label}", selector.name);
            }
            let ranged = selector.range.is_some();
            assert_eq!(known.grows, ranged, "{place}: {} is read the wrong way", selector.name);
        }
    }
}

#[test]
fn documented_metrics_exist() {
    for page in PAGES {
        for name in text(page).split('`').skip(1).step_by(2).filter(|text| text.starts_with("streamgauge_")) {
            let name = name.split('{').next().unwrap().trim_start_matches("streamgauge_");
            assert!(METRICS.iter().any(|metric| metric.0 == name), "{page}: there is no {name}");
        }
    }
}
