//! The rules and the configuration, checked by the tools of both Prometheus 2 and 3.

use std::process::Command;

use super::{
    page::{root, rules},
    process::cache,
    stack::succeed,
};

/// The answers of each version's tool.
fn promtools(arguments: &[&str]) -> [String; 2] {
    ["bin/promtool", "bin/promtool-3"]
        .map(|tool| succeed(Command::new(cache(tool)).args(arguments).current_dir(root("prometheus"))))
}

#[test]
#[ignore = "needs promtool; tests/real/install.sh"]
fn promtool_accepts_configuration_and_rules() {
    let alerts = rules("prometheus/rules/alerts.yml").len();
    assert!(alerts > 20, "{alerts}");
    for said in promtools(&["check", "config", "prometheus.yml"]) {
        assert!(said.contains("2 rule files found"), "{said}");
        assert!(said.contains(&format!("{alerts} rules found")), "{said}");
    }
}

#[test]
#[ignore = "needs promtool; tests/real/install.sh"]
fn alert_fires_and_ignores_its_near_miss() {
    let tests = ["rules/alerts_test.yml", "rules/recording_test.yml", "rules/gen_ai_test.yml"];
    for said in promtools(&[&["test", "rules"], &tests[..]].concat()) {
        assert_eq!(said.matches("SUCCESS").count(), tests.len(), "{said}");
    }
}
