//! Dashboards, rules and their runbooks: what they name exists, and a real Prometheus answers what they ask.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]

#[path = "monitoring/alertmanager.rs"]
mod alertmanager;
#[path = "monitoring/contract.rs"]
mod contract;
#[path = "monitoring/dashboards.rs"]
mod dashboards;
#[path = "monitoring/deploy.rs"]
mod deploy;
#[path = "monitoring/grafana.rs"]
mod grafana;
#[path = "monitoring/live.rs"]
mod live;
#[path = "monitoring/manual.rs"]
mod manual;
#[path = "monitoring/page.rs"]
mod page;
#[path = "real/process.rs"]
mod process;
#[path = "monitoring/promql.rs"]
mod promql;
#[path = "monitoring/promtool.rs"]
mod promtool;
#[path = "monitoring/rules.rs"]
mod rules;
#[path = "monitoring/stack.rs"]
mod stack;
