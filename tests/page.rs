//! The page of the admin address, in a real browser.
#![allow(clippy::unwrap_used, reason = "clippy allows it in tests, but not in what tests share")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "browsers run by the clock on the wall"
)]

#[path = "page/browser.rs"]
mod browser;
#[path = "page/figures.rs"]
mod figures;
#[path = "page/looks.rs"]
mod looks;
#[path = "../crates/lab/tests/report/made_up.rs"]
mod made_up;
#[path = "page/picture.rs"]
mod picture;
#[path = "real/process.rs"]
mod process;
#[path = "page/report.rs"]
mod report;
#[path = "page/scrape.rs"]
mod scrape;
#[path = "page/sidecar.rs"]
mod sidecar;
#[path = "page/trouble.rs"]
mod trouble;
