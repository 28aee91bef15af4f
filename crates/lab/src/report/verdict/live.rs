//! The sentences about live traffic.

use super::super::Report;
use crate::analysis::{Group, Rate, Slowdown};

/// The most models that the verdict names.
const NAMED: usize = 2;
/// A loss below this share of the generation is not worth a sentence.
const LOSS: f64 = 0.01;

/// Returns the sentence of a load without objectives. `failed` are the words after the number of failed requests.
pub(super) fn load(rate: &Rate, failed: &str) -> String {
    let seconds = |value: Option<f64>| match value {
        None => "unknown".to_owned(),
        Some(value) if value < 1.0 => format!("{:.0} ms", 1e3 * value),
        Some(value) => format!("{value:.2} s"),
    };
    let ttft = rate.ttft.map_or(String::new(), |ttft| {
        format!("; time to first token p50 {}, p99 {}", seconds(ttft.p50), seconds(ttft.p99))
    });
    format!(
        "{}: {} requests in {:.0} s ({:.2} per second), {} {failed}{ttft}.",
        rate.load.condition, rate.requests, rate.load.seconds, rate.load.rate, rate.failed
    )
}

/// Returns the sentences about rates and losses, the busiest models first.
pub(super) fn sentences(report: &Report) -> Vec<String> {
    let live = &report.analysis.live;
    let mut groups: Vec<&Group> = live.groups.iter().filter(|group| !group.levels.is_empty()).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.requests));
    let several = report.sources.len() > 1;
    let mut lines: Vec<String> =
        groups.into_iter().take(NAMED).filter_map(|group| rates(group, several)).collect();
    lines.extend(live.slowdowns.iter().find(|found| found.share >= LOSS).map(|found| loss(found, several)));
    lines
}

fn rates(group: &Group, several: bool) -> Option<String> {
    // A rate without an interval rests on a few moments.
    let is_sure = group.levels.iter().any(|level| level.interval.is_some());
    let levels = group.levels.iter().filter(|level| !is_sure || level.interval.is_some());
    let most = levels.max_by(|a, b| a.throughput.total_cmp(&b.throughput))?;
    let first = group.levels.first()?;
    let interval = most.interval.map_or(String::new(), |interval| {
        format!(" (95 % interval {:.1} to {:.1})", interval.low, interval.high)
    });
    let name = match several {
        true => format!("{}, {} on {}", group.condition, group.model, group.upstream),
        false => format!("{} on {}", group.model, group.upstream),
    };
    let peak = group
        .peak()
        .map_or(String::new(), |peak| format!("; the fitted law peaks at {:.1} streams", peak.streams));
    let highest =
        if is_sure { "the highest throughput that has an interval" } else { "the highest throughput" };
    Some(if first.streams == most.streams {
        format!("{name}: {:.1} tok/s{interval} with {} at once{peak}.", most.rate, counted(most.streams))
    } else {
        format!(
            "{name}: {:.1} tok/s with {} at once, and {:.1} tok/s{interval} each with {}: {highest}, {:.1} tok/s{peak}.",
            first.rate,
            counted(first.streams),
            most.rate,
            most.streams,
            most.throughput
        )
    })
}

fn counted(streams: u32) -> String {
    if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") }
}

fn loss(found: &Slowdown, several: bool) -> String {
    let of = if several { format!("{}: of", found.condition) } else { "Of".to_owned() };
    let by = if found.by == found.slowed { "other streams of its own".to_owned() } else { found.by.clone() };
    format!(
        "{of} the time in which {} generated, {:.1} % were lost beside {by} ({:.1} s).",
        found.slowed,
        100.0 * found.share,
        found.seconds
    )
}
