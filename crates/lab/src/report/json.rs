//! The report for programs.

use serde::Serialize;

use super::{Report, Source};
use crate::analysis::Analysis;

/// It increases when a field is removed or changes its meaning. New fields leave it unchanged.
const SCHEMA: &str = "streamgauge-report/1";

#[derive(Serialize)]
struct Page<'a> {
    schema: &'static str,
    sources: &'a [Source],
    #[serde(flatten)]
    analysis: &'a Analysis,
}

pub(super) fn json(report: &Report) -> String {
    let page = Page { schema: SCHEMA, sources: &report.sources, analysis: &report.analysis };
    let mut text =
        serde_json::to_string_pretty(&page).expect("keys are names, and numbers that are none are null");
    text.push('\n');
    text
}
