//! Rules, the configuration that loads them, and the runbooks that they link to.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    contract::look_up,
    page::{Dashboard, dashboards, recorded, root, rules, text, yaml},
    promql,
};

const ALERTS: &str = "prometheus/rules/alerts.yml";
const RECORDING: &str = "prometheus/rules/recording.yml";
const GEN_AI: &str = "prometheus/rules/gen_ai.yml";
const RUNBOOK: &str = "https://github.com/streamgauge/streamgauge/blob/main/docs/how-to/alerts.md#";

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn alert_says_what_is_wrong_by_how_much_and_what_to_do() {
    let runbook = text("docs/how-to/alerts.md");
    let mut sections: Vec<&str> = runbook.split("\n## ").skip(1).collect();
    for alert in rules(ALERTS) {
        let name = word(&alert, "alert");
        assert!(["critical", "warning", "info"].contains(&word(&alert["labels"], "severity")), "{name}");
        assert!(alert["for"].is_string(), "{name} fires at a blink");
        let notes = &alert["annotations"];
        assert!(word(notes, "summary").contains("{{ $labels."), "{name}: whose alert is it?");
        assert!(word(notes, "description").contains("{{ $value"), "{name}: by how much?");
        assert_eq!(word(notes, "runbook_url"), format!("{RUNBOOK}{}", name.to_lowercase()));
        leads_to_its_panel(name, notes);
        let at = sections.iter().position(|section| section.lines().next() == Some(name));
        let section =
            sections.remove(at.unwrap_or_else(|| panic!("docs/how-to/alerts.md has no heading {name}")));
        for part in ["**Symptom.**", "**Check.**", "**Fix.**"] {
            assert!(section.contains(part), "docs/how-to/alerts.md, {name}: no {part}");
        }
    }
    assert!(sections.is_empty(), "docs/how-to/alerts.md explains alerts that do not exist: {sections:?}");
}

/// The dashboard, the panel by its id, and the sidecar, as a path below Grafana's address.
fn leads_to_its_panel(alert: &str, notes: &Value) {
    let url = word(notes, "dashboard_url");
    let (board, query) = url.strip_prefix("/d/").and_then(|rest| rest.split_once('?')).unwrap();
    let (panel, chosen) = query.strip_prefix("viewPanel=").and_then(|rest| rest.split_once('&')).unwrap();
    assert!(chosen.starts_with("var-job={{ $labels.job }}"), "{alert}: {url}");
    let dashboard = dashboards().into_iter().find(|dashboard| dashboard.json["uid"] == board);
    let dashboard = dashboard.unwrap_or_else(|| panic!("{alert}: there is no dashboard {board}"));
    let title = word(notes, "panel");
    let shown = dashboard.boxes().into_iter().find(|panel| panel["title"] == title);
    let shown = shown.unwrap_or_else(|| panic!("{alert}: {board} has no panel \"{title}\""));
    assert_eq!(shown["id"].to_string(), panel, "{alert}: the id of \"{title}\" in {board}");
}

#[test]
fn runbook_names_existing_panels() {
    let dashboards = dashboards();
    let titles: BTreeSet<&str> =
        dashboards.iter().flat_map(Dashboard::boxes).filter_map(|panel| panel["title"].as_str()).collect();
    let runbook = text("docs/how-to/alerts.md");
    let seen = runbook.split("**Check.**").skip(1).map(|part| part.split("**Fix.**").next().unwrap());
    let mut named = 0;
    for panel in seen.flat_map(|part| part.split('"').skip(1).step_by(2)) {
        let panel = panel.replace('\n', " ");
        assert!(titles.contains(panel.as_str()), "docs/how-to/alerts.md: there is no panel \"{panel}\"");
        named += 1;
    }
    assert!(named >= rules(ALERTS).len(), "{named} panels");
}

#[test]
fn rule_names_existing_metrics() {
    let recorded = recorded();
    let both: Vec<Value> = [RECORDING, ALERTS].into_iter().flat_map(rules).collect();
    for rule in &both {
        let place = rule["record"].as_str().unwrap_or_else(|| word(rule, "alert"));
        let named = promql::read(word(rule, "expr"));
        assert!(!named.selectors.is_empty(), "{place}");
        for selector in named.selectors {
            let name = &selector.name;
            let known = look_up(name, &recorded).unwrap_or_else(|| panic!("{place}: there is no {name}"));
            if known.grows {
                // `unless` asks whether a series was there before, for one that starts above 0.
                let is_born =
                    rule["expr"].as_str().is_some_and(|expr| expr.contains(&format!("unless {name}")));
                assert!(
                    is_born || ["rate", "increase"].contains(&selector.within.as_str()),
                    "{place}: {name} by itself"
                );
            }
            for (label, _) in &selector.matchers {
                let own = known.labels.as_ref();
                assert!(own.is_none_or(|own| own.contains(label.as_str())), "{place}: {name} has no {label}");
            }
        }
    }
}

/// The optional rules add up whole counters, so that `rate` works on what they record.
#[test]
fn gen_ai_rule_sums_existing_histograms_by_their_labels() {
    let page = text("docs/how-to/prometheus-and-grafana.md");
    for rule in rules(GEN_AI) {
        let record = word(&rule, "record");
        let parts = ["_bucket", "_sum", "_count"];
        // The rule of a native histogram has no part.
        let part = parts.into_iter().find(|part| record.ends_with(part)).unwrap_or_default();
        let histogram = record.strip_suffix(part).unwrap();
        assert!(page.contains(&format!("`{histogram}`")), "the page does not name {histogram}");
        let named = promql::read(word(&rule, "expr"));
        assert!(!named.selectors.is_empty(), "{record}");
        for selector in named.selectors {
            let its_part = parts.into_iter().find(|part| selector.name.ends_with(part)).unwrap_or_default();
            assert_eq!(its_part, part, "{record}: {}", selector.name);
            let known = look_up(&selector.name, &[]).unwrap_or_else(|| panic!("{record}"));
            for (label, _) in &selector.matchers {
                let own = known.labels.as_ref();
                assert!(own.is_none_or(|own| own.contains(label.as_str())), "{record}: {label}");
            }
        }
    }
}

#[test]
fn recording_rule_is_named_by_level_metric_and_operation_and_is_used() {
    let alerts = rules(ALERTS);
    let mut users: Vec<String> = alerts.iter().map(|rule| word(rule, "expr").to_owned()).collect();
    users.extend(rules(RECORDING).iter().map(|rule| word(rule, "expr").to_owned()));
    users.extend(dashboards().iter().flat_map(Dashboard::queries).map(|query| query.expr));
    let used: BTreeSet<String> =
        users.iter().flat_map(|expr| promql::read(expr).selectors).map(|selector| selector.name).collect();
    for name in recorded() {
        let parts: Vec<_> = name.split(':').collect();
        assert!(
            matches!(parts[..], [level, metric, operation]
            if !level.is_empty() && metric.starts_with("streamgauge_") && !operation.is_empty()),
            "{name}"
        );
        assert!(used.contains(&name), "nobody reads {name}");
    }
}

/// In `alerts_test.yml` the label `instance`, or else `job`, says which series fires and which is a near miss.
#[test]
fn alert_has_test_with_near_miss() {
    let tests = yaml("prometheus/rules/alerts_test.yml");
    let tests = tests["tests"].as_array().unwrap();
    for alert in rules(ALERTS) {
        let name = word(&alert, "alert");
        let of = |test: &&Value| test["alert_rule_test"][0]["alertname"] == name;
        let test = tests.iter().find(of).unwrap_or_else(|| panic!("nothing tests {name}"));
        let series = test["input_series"].to_string();
        assert!(series.contains("near-miss"), "{name}: no near miss");
        let expected = test["alert_rule_test"].as_array().unwrap().iter().flat_map(|at| {
            at["exp_alerts"].as_array().unwrap().iter().map(|alert| {
                let labels = &alert["exp_labels"];
                // An alert of a whole job has no instance.
                labels["instance"].as_str().unwrap_or_else(|| word(labels, "job"))
            })
        });
        let fired: Vec<_> = expected.collect();
        assert!(
            !fired.is_empty() && fired.iter().all(|instance| instance.starts_with("fires")),
            "{name}: {fired:?}"
        );
    }
}

#[test]
fn prometheus_and_grafana_agree_on_files_and_interval() {
    let prometheus = yaml("prometheus/prometheus.yml");
    let files = prometheus["rule_files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    for file in files {
        assert!(root("prometheus").join(file.as_str().unwrap()).is_file(), "{file}");
        assert!(!file.as_str().unwrap().ends_with("_test.yml"), "{file} is a test");
    }
    let source = yaml("grafana/provisioning/datasources/prometheus.yml");
    let source = &source["datasources"][0];
    assert_eq!(source["type"], "prometheus");
    assert_eq!(source["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"]);
    assert!(!word(source, "uid").is_empty());
    let provider = yaml("grafana/provisioning/dashboards/provider.yml");
    assert_eq!(provider["providers"][0]["allowUiUpdates"], false);
    assert_eq!(provider["providers"][0]["type"], "file");
}
