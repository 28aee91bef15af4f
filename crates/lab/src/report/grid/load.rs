//! A row for each rate of an open-loop load.

use super::{super::Report, Grid, cell};
use crate::analysis::{Quantiles, Rate};

/// The columns by importance.
const ORDER: [&str; 12] = [
    "load",
    "requests/s",
    "SLO",
    "met",
    "goodput",
    "TTFT p99",
    "total p99",
    "failed",
    "not sent",
    "requests",
    "gap p99",
    "late p99",
];

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Open-loop loads",
        "Times count from the moment at which a request was due. A failed request counts as one that takes for ever, so a \
         quantile that falls on one has no value. Goodput: requests per second that met every objective. Gaps are the mean \
         gaps of the responses. Intervals are exact ones of a share (Clopper and Pearson), widened to those over runs.",
        &[
            "load",
            "requests/s",
            "runs",
            "invalid",
            "requests",
            "failed",
            "not sent",
            "met",
            "SLO",
            "goodput",
            "TTFT p50",
            "TTFT p99",
            "gap p50",
            "gap p99",
            "total p50",
            "total p99",
            "late p99",
        ],
        1,
    );
    grid.order = &ORDER;
    for rate in report.analysis.open.iter().flat_map(|sweep| &sweep.rates) {
        // Nobody stated objectives of live traffic.
        let is_live = report.analysis.live.groups.iter().any(|group| group.condition == rate.load.condition);
        grid.rows.push(row(rate, is_live));
    }
    grid
}

fn row(rate: &Rate, is_live: bool) -> Vec<String> {
    let time = |quantiles: Option<Quantiles>, of: fn(Quantiles) -> Option<f64>| {
        cell(quantiles.and_then(of).map(|seconds| format!("{:.1} ms", 1e3 * seconds)))
    };
    let [median, p99]: [fn(Quantiles) -> Option<f64>; 2] = [|found| found.p50, |found| found.p99];
    let met = rate.met.map(|met| {
        let range = rate.range().map_or(String::new(), |interval| {
            format!(" [{:.1}, {:.1}]", 100.0 * interval.low, 100.0 * interval.high)
        });
        format!("{:.1} %{range}", 100.0 * met.value)
    });
    let goodput = rate.goodput.map(|goodput| {
        let range = goodput
            .interval
            .map_or(String::new(), |interval| format!(" [{:.2}, {:.2}]", interval.low, interval.high));
        format!("{:.2}/s{range}", goodput.value)
    });
    let holds = match rate.holds {
        _ if is_live => "–",
        None => "invalid",
        Some(true) => "held",
        Some(false) => "missed",
    };
    vec![
        rate.load.condition.clone(),
        format!("{:.2}", rate.load.rate),
        rate.runs.to_string(),
        rate.invalid.to_string(),
        rate.requests.to_string(),
        rate.failed.to_string(),
        rate.not_sent.to_string(),
        cell(met),
        holds.into(),
        cell(goodput),
        time(rate.ttft, median),
        time(rate.ttft, p99),
        time(rate.gap, median),
        time(rate.gap, p99),
        time(rate.total, median),
        time(rate.total, p99),
        time(rate.lateness, p99),
    ]
}
