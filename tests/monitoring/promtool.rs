//! The rules and the configuration, checked by Prometheus' own tool.

use std::process::Command;

use super::{page::root, process::cache, stack::succeed};

fn promtool(arguments: &[&str]) -> String {
    succeed(Command::new(cache("bin/promtool")).args(arguments).current_dir(root("prometheus")))
}

#[test]
#[ignore = "needs promtool; tests/real/install.sh"]
fn promtool_accepts_configuration_and_rules() {
    let said = promtool(&["check", "config", "prometheus.yml"]);
    assert!(said.contains("2 rule files found") && said.contains("23 rules found"), "{said}");
}

#[test]
#[ignore = "needs promtool; tests/real/install.sh"]
fn alert_fires_and_ignores_its_near_miss() {
    let tests = ["rules/alerts_test.yml", "rules/recording_test.yml", "rules/gen_ai_test.yml"];
    let said = promtool(&[&["test", "rules"], &tests[..]].concat());
    assert_eq!(said.matches("SUCCESS").count(), tests.len(), "{said}");
}
