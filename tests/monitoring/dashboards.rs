//! The committed dashboards agree with `grafana/src`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    contract::{METRICS, look_up},
    page::{Dashboard, dashboards, recorded, text},
    promql,
};

/// Metrics that are intentionally on no dashboard.
const LEFT_OUT: &[(&str, &str)] = &[];

#[test]
fn dashboard_has_its_own_uid_and_links_to_the_others() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 5);
    let uids: BTreeSet<_> =
        dashboards.iter().map(|dashboard| dashboard.json["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), 5);
    for Dashboard { path, json } in &dashboards {
        let name = json["uid"].as_str().unwrap().strip_prefix("streamgauge-").unwrap();
        assert_eq!(*path, format!("grafana/dashboards/{name}.json"));
        assert_eq!(json["tags"], serde_json::json!(["streamgauge"]), "{path}");
        assert_eq!(json["editable"], false, "{path}");
        assert_eq!(json["graphTooltip"], 1, "{path}: a shared crosshair");
        assert!(json["schemaVersion"].as_u64() >= Some(39), "{path}");
        let links = json["links"].as_array().unwrap();
        let siblings =
            |link: &&serde_json::Value| link["type"] == "dashboards" && link["tags"] == json["tags"];
        assert!(links.iter().find(siblings).is_some_and(|link| link["includeVars"] == true), "{path}");
        for link in links.iter().filter_map(|link| link["url"].as_str()) {
            let file = link.split_once("/blob/main/").unwrap().1;
            assert!(!text(file).is_empty(), "{path}: {link}");
        }
    }
}

#[test]
fn panel_has_description() {
    for dashboard in dashboards() {
        let place = dashboard.title();
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{place}: {title} has another panel's id");
            if panel["type"] == "row" {
                assert!(title.ends_with('?'), "{place}: the row `{title}` asks nothing");
                continue;
            }
            let kind = panel["type"].as_str().unwrap();
            assert!(
                ["stat", "timeseries", "state-timeline", "xychart", "bargauge", "table"].contains(&kind),
                "{place}: {kind}"
            );
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 15 && description.ends_with('.'), "{place}, {title}: {description}");
            // A stat at the top may have the same title as the panel with its details.
            assert!(titles.insert((kind == "stat", title.to_owned())), "{place}: two panels called {title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place}, {title}: no unit");
            assert!(
                panel["fieldConfig"]["defaults"]["noValue"].is_string(),
                "{place}, {title}: no word for no data"
            );
            let datasources =
                panel["targets"].as_array().unwrap().iter().map(|target| &target["datasource"]["uid"]);
            for uid in datasources.chain([&panel["datasource"]["uid"]]) {
                assert_eq!(uid, "${datasource}", "{place}, {title}");
            }
        }
        let kinds: Vec<_> = dashboard.panels().iter().map(|panel| panel["type"].clone()).collect();
        let stats = kinds.iter().take_while(|kind| *kind == "stat").count();
        assert!([8, 18].contains(&stats), "{place}: {stats} numbers on top");
        assert_eq!(kinds[stats], "row", "{place}");
    }
}

/// The last value of a range outlives its series: nine minutes after a sidecar was killed, a tile still said "Up".
#[test]
fn every_tile_asks_for_the_present_value() {
    for dashboard in dashboards() {
        for panel in dashboard.boxes().into_iter().filter(|panel| panel["type"] == "stat") {
            let target = &panel["targets"][0];
            let place = format!("{}, {}", dashboard.title(), panel["title"]);
            assert_eq!((&target["instant"], &target["range"]), (&true.into(), &false.into()), "{place}");
        }
    }
}

#[test]
fn panel_never_overlaps_another() {
    for dashboard in dashboards() {
        let mut taken = BTreeMap::new();
        for panel in dashboard.panels() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{}: {}", dashboard.title(), panel["title"]);
            for cell in
                (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y)))
            {
                let other = taken.insert(cell, &panel["title"]);
                assert_eq!(other, None, "{}: {} lies on it", dashboard.title(), panel["title"]);
            }
        }
    }
}

#[test]
fn dashboard_variables_are_defined_and_used() {
    const BUILT_IN: [&str; 6] =
        ["__all", "__dashboard", "__range", "__rate_interval", "__url_time_range", "__value"];
    for dashboard in dashboards() {
        let names: BTreeSet<&str> =
            dashboard.variables().iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert!(
            ["datasource", "job", "instance"].iter().all(|name| names.contains(name)),
            "{}",
            dashboard.title()
        );
        let mut used = BTreeSet::new();
        for place in [&dashboard.json["panels"], &dashboard.json["templating"]] {
            used.extend(variables(&place.to_string()));
        }
        let known = names.iter().copied().chain(BUILT_IN).map(str::to_owned).collect();
        assert_eq!(
            used.difference(&known).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{}",
            dashboard.title()
        );
        let unused: Vec<_> = names.iter().filter(|name| !used.contains(**name)).collect();
        assert!(unused.is_empty(), "{}: nobody uses {unused:?}", dashboard.title());
    }
}

/// The names after each `$` and in each `${…}`.
fn variables(text: &str) -> BTreeSet<String> {
    let name = |rest: &str| {
        let rest = rest.trim_start_matches('{');
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    text.split('$').skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn panel_query_names_existing_metrics_and_filters_by_instance() {
    let recorded = recorded();
    for query in dashboards().iter().flat_map(Dashboard::queries) {
        let named = promql::read(&query.expr);
        let place = &query.place;
        assert!(!named.selectors.is_empty(), "{place}");
        let mut labels: BTreeSet<&str> = BTreeSet::new();
        let mut free = false;
        for selector in &named.selectors {
            let name = &selector.name;
            let known = look_up(name, &recorded).unwrap_or_else(|| panic!("{place}: there is no {name}"));
            // The level of a series that was recorded for all sidecars of a job begins with `job`.
            let variables = if name.starts_with("job") { &["job"][..] } else { &["job", "instance"] };
            for variable in variables {
                let matcher = ((*variable).to_owned(), format!("${variable}"));
                assert!(selector.matchers.contains(&matcher), "{place}: {name} of every {variable}");
            }
            if known.grows {
                assert!(
                    ["rate", "increase"].contains(&selector.within.as_str()),
                    "{place}: {name} by itself"
                );
                // Burn rates, limits and loads of models have windows of their own.
                let ranges: &[_] = if selector.within == "rate" {
                    &["$__rate_interval", "5m", "1h", "6h"]
                } else {
                    &["$__range", "10m"]
                };
                let range = selector.range.as_deref();
                assert!(range.is_some_and(|range| ranges.contains(&range)), "{place}: {name} over {range:?}");
            } else if ["last_over_time", "max_over_time"].contains(&selector.within.as_str()) {
                assert_eq!(selector.range.as_deref(), Some("$__range"), "{place}: {name}");
            } else {
                assert_eq!(selector.range, None, "{place}: {name} is no counter");
            }
            free |= known.labels.is_none();
            if let Some(own) = known.labels {
                for (label, _) in &selector.matchers {
                    assert!(own.contains(label.as_str()), "{place}: {name} has no label {label}");
                }
                labels.extend(own);
            }
        }
        for label in &named.grouped {
            assert!(free || labels.contains(label.as_str()), "{place}: nothing here has a label {label}");
        }
    }
}

#[test]
fn metric_is_on_a_dashboard_or_excluded_on_purpose() {
    let recorded = recorded();
    let rules = super::page::rules("prometheus/rules/recording.yml");
    let mut shown = BTreeSet::new();
    for query in dashboards().iter().flat_map(Dashboard::queries) {
        for selector in promql::read(&query.expr).selectors {
            // A recorded series must show its sources.
            let source = rules.iter().find(|rule| rule["record"] == selector.name.as_str());
            let source = source.map(|rule| promql::read(rule["expr"].as_str().unwrap()).selectors);
            for selector in source.unwrap_or_default().into_iter().chain([selector]) {
                shown.extend(look_up(&selector.name, &recorded).map(|known| known.family));
            }
        }
    }
    let missing = |name: &str| !shown.contains(&format!("streamgauge_{name}"));
    let unseen: Vec<_> = METRICS
        .iter()
        .map(|(name, ..)| *name)
        .filter(|name| missing(name) && !LEFT_OUT.iter().any(|(left, _)| left == name))
        .collect();
    assert!(unseen.is_empty(), "on no dashboard: {unseen:?}");
    for (name, why) in LEFT_OUT {
        assert!(missing(name), "{name} is on a dashboard, and was to be left out: {why}");
    }
}
