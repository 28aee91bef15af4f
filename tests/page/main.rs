//! The page of the admin address in a real browser.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "browsers run by the clock on the wall"
)]

mod browser;
mod figures;
mod looks;
// The tests of the report in the package streamgauge-lab use this file too.
#[path = "../../crates/lab/tests/report/made_up.rs"]
mod made_up;
// Several test programs use this file.
#[path = "../shared/nvml.rs"]
#[allow(dead_code, reason = "not every program uses all of it")]
mod nvml;
mod picture;
// Several test programs use this file.
#[path = "../shared/process.rs"]
mod process;
mod reasons;
mod report;
mod scrape;
mod sidecar;
mod trouble;
// Several test programs use this file.
#[path = "../shared/wait.rs"]
mod wait;
