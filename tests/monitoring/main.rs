//! Dashboards, rules and their runbooks: the metrics that they name exist, and a real Prometheus answers their
//! queries.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "processes run by the clock on the wall"
)]

mod alertmanager;
mod contract;
mod dashboards;
mod deploy;
mod fleet;
mod gpu;
mod grafana;
mod healthy;
mod live;
mod manual;
mod native;
// Several test programs use this file.
#[path = "../shared/nvml.rs"]
#[allow(dead_code, reason = "not every program uses all of it")]
mod nvml;
mod page;
// Several test programs use this file.
#[path = "../shared/process.rs"]
mod process;
mod promql;
mod promtool;
mod rules;
mod stack;
