//! Live traffic: rates by the number of streams, parts of the duration, and who slowed whom.

use super::{super::Report, Grid, cell};
use crate::analysis::{Group, statistic::Interval};

fn one(interval: Interval) -> String {
    format!("[{:.1}, {:.1}]", interval.low, interval.high)
}

/// Returns the first cells of a row: the condition only if there are several recordings.
fn names(report: &Report, group: &Group) -> Vec<String> {
    let upstream = match report.sources.len() {
        1 => group.upstream.clone(),
        _ => format!("{} {}", group.condition, group.upstream),
    };
    vec![upstream, group.model.clone()]
}

/// A row for each number of streams.
pub(super) fn levels(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Live traffic: rate by the number of streams",
        "Streams: how many decoded at the Ollama at the same time. Seconds: the time that streams of the model spent so. Rate: \
         tokens per second of one stream, with an interval over blocks of time. All streams: the rate times the number.",
        &[
            "upstream",
            "model",
            "streams",
            "seconds",
            "tokens",
            "rate",
            "95 % interval",
            "all streams",
            "of alone",
        ],
        2,
    );
    grid.order =
        &["streams", "rate", "95 % interval", "all streams", "of alone", "model", "seconds", "upstream"];
    for group in &report.analysis.live.groups {
        let alone = group.levels.iter().find(|level| level.streams == 1).map(|level| level.rate);
        for level in &group.levels {
            let mut row = names(report, group);
            row.extend([
                level.streams.to_string(),
                format!("{:.1}", level.seconds),
                format!("{:.0}", level.tokens),
                format!("{:.1} tok/s", level.rate),
                cell(level.interval.map(one)),
                format!("{:.1} tok/s", level.throughput),
                cell(alone.map(|alone| format!("{:.1} %", 100.0 * level.rate / alone))),
            ]);
            grid.rows.push(row);
        }
    }
    grid
}

/// A row for each number of streams that occurred in both of two recordings.
pub(super) fn matched(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Live traffic: rates at the same number of streams",
        "The rate of one stream while it decodes, in both recordings. The weight is that of both sides in the comparison of \
         the recordings, so that another mix of load is no difference. It is 0 if the number of streams occurred in too few \
         blocks of time. Longer prompts and answers are slower, too: compare the lengths.",
        &[
            "model",
            "against",
            "streams",
            "weight",
            "rate",
            "95 % interval",
            "before",
            "interval before",
            "change",
        ],
        2,
    );
    for contrast in &report.analysis.between.live {
        let show = |value: f64| contrast.measure.show(value);
        for level in &contrast.levels {
            let change = 100.0 * (level.later.rate / level.first.rate - 1.0);
            grid.rows.push(vec![
                contrast.condition.clone(),
                contrast.baseline.clone(),
                level.later.streams.to_string(),
                format!("{:.2}", level.weight),
                show(level.later.rate),
                cell(level.later.interval.map(one)),
                show(level.first.rate),
                cell(level.first.interval.map(one)),
                format!("{change:+.1} %"),
            ]);
        }
    }
    grid
}

/// A row for each model whose rates show a law.
pub(super) fn scaling(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Live traffic: scaling",
        "The Universal Scalability Law fitted to the rate of all streams, one value for each number of streams and block of \
         time. Neighbouring blocks are alike, so the intervals are too narrow if a disturbance lasts longer than a block.",
        &[
            "upstream",
            "model",
            "values",
            "one stream",
            "σ",
            "interval of σ",
            "κ",
            "interval of κ",
            "peak",
            "R²",
        ],
        2,
    );
    for group in &report.analysis.live.groups {
        let Some(scaling) = group.scaling else { continue };
        let five = |interval: Interval| format!("[{:.5}, {:.5}]", interval.low, interval.high);
        let mut row = names(report, group);
        row.extend([
            scaling.n.to_string(),
            format!("{:.1} tok/s", scaling.one.value),
            format!("{:.4}", scaling.contention.value),
            five(scaling.contention.interval),
            format!("{:.6}", scaling.coherency.value),
            five(scaling.coherency.interval),
            group.peak().map_or("none seen".into(), |peak| {
                format!("{:.1} streams {}, {:.0} tok/s", peak.streams, one(peak.interval), peak.throughput)
            }),
            format!("{:.3}", scaling.r_squared),
        ]);
        grid.rows.push(row);
    }
    grid
}

/// A row for each part of the duration.
pub(super) fn phases(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Live traffic: parts of the duration",
        "Requests that did not fail. The share is that of the summed durations. Client behind: the client did not read what \
         was there, which overlaps the generation.",
        &["upstream", "model", "part", "requests", "share", "mean", "p50", "p90", "p99", "max"],
        3,
    );
    for group in &report.analysis.live.groups {
        for phase in &group.phases {
            let seconds = phase.seconds;
            let mut row = names(report, group);
            row.extend([
                phase.name.to_owned(),
                seconds.n.to_string(),
                format!("{:.1} %", 100.0 * phase.share),
            ]);
            let values = [seconds.mean, seconds.p50, seconds.p90, seconds.p99, seconds.max];
            row.extend(values.map(|value| format!("{:.1} ms", 1e3 * value)));
            grid.rows.push(row);
        }
    }
    grid
}

/// A row for each pair of roles.
pub(super) fn slowdowns(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Live traffic: who slowed whom",
        "The time that streams lost against their rate alone, divided equally among the requests that ran beside them. It \
         accounts for the loss, and does not prove its cause. The names are those of models, or the pseudonyms of callers if \
         `callers` was set for the recording.",
        &["upstream", "slowed", "by", "lost", "of its generation"],
        3,
    );
    for found in &report.analysis.live.slowdowns {
        let upstream = match report.sources.len() {
            1 => found.upstream.clone(),
            _ => format!("{} {}", found.condition, found.upstream),
        };
        grid.rows.push(vec![
            upstream,
            found.slowed.clone(),
            found.by.clone(),
            format!("{:.1} s", found.seconds),
            format!("{:.1} %", 100.0 * found.share),
        ]);
    }
    grid
}
