//! The correlations, the regression, and the scaling curves.

use super::{super::Report, Grid, cell};
use crate::analysis::{Evidence, p_value, statistic::Interval};

fn two(interval: Interval) -> String {
    format!("[{:.2}, {:.2}]", interval.low, interval.high)
}

pub(super) fn grid(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Relations over runs",
        "Pearson's r and Spearman's ρ within conditions, with 95 % intervals. Differences between conditions have no \
         effect. Between conditions: r of their means, over at least four, which any other difference between the conditions \
         can cause.",
        &["one", "other", "condition", "runs", "r", "interval of r", "r²", "ρ", "interval of ρ", "p"],
        3,
    );
    for found in &report.analysis.relations {
        let p = match found.evidence {
            Evidence::TooFew { need, .. } => format!("{need} runs are needed"),
            Evidence::NoNoise => "no noise".into(),
            Evidence::Tested { p, .. } => p_value(p),
        };
        grid.rows.push(vec![
            found.left.name().into(),
            found.right.name().into(),
            match (&found.condition, found.conditions) {
                (Some(condition), _) => condition.clone(),
                (None, 1) => "all runs".into(),
                (None, several) => format!("within {several} conditions"),
            },
            found.pearson.n.to_string(),
            format!("{:.2}", found.pearson.r),
            cell(found.pearson.interval.map(two)),
            format!("{:.2}", found.pearson.r * found.pearson.r),
            format!("{:.2}", found.spearman.r),
            cell(found.spearman.interval.map(two)),
            p,
        ]);
        if let Some(between) = &found.between {
            grid.rows.push(vec![
                found.left.name().into(),
                found.right.name().into(),
                format!("between {} conditions", between.n),
                between.n.to_string(),
                format!("{:.2}", between.r),
                cell(between.interval.map(two)),
                format!("{:.2}", between.r * between.r),
                cell(None),
                cell(None),
                cell(between.p.map(p_value)),
            ]);
        }
    }
    grid
}

/// Returns the regression of TR117 (6.2), in base units.
pub(super) fn regression(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Regression: overlap efficiency explained by lag p99 and chunks per second",
        "Ordinary least squares, in ratios, seconds and chunks per second. A VIF above 5 or 10 means that the columns cannot be separated.",
        &["term", "coefficient", "standard error", "95 % interval", "p", "VIF"],
        1,
    );
    let Some(model) = &report.analysis.model else { return grid };
    let fit = &model.fit;
    let names = std::iter::once("constant").chain(model.by.iter().map(|measure| measure.name()));
    for (place, (name, coefficient)) in names.zip(&fit.coefficients).enumerate() {
        let inflation = place.checked_sub(1).and_then(|place| model.inflation.as_ref()?.get(place).copied());
        grid.rows.push(vec![
            name.into(),
            format!("{:.5}", coefficient.value),
            format!("{:.5}", coefficient.standard_error),
            format!("[{:.5}, {:.5}]", coefficient.interval.low, coefficient.interval.high),
            p_value(coefficient.p),
            cell(inflation.map(|inflation| format!("{inflation:.2}"))),
        ]);
    }
    let residuals = fit.residuals;
    let value = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.3}"));
    grid.rows.push(vec![
        format!("{} runs: R² {:.3}, adjusted {:.3}", fit.n, fit.r_squared, fit.adjusted_r_squared),
        format!("residuals: Durbin-Watson {}", value(residuals.durbin_watson)),
        format!("Jarque-Bera p {}", value(residuals.jarque_bera_p)),
        format!("Breusch-Pagan p {}", value(residuals.breusch_pagan_p)),
        format!("largest Cook's distance {}", value(residuals.largest_cook)),
        String::new(),
    ]);
    grid
}

pub(super) fn scaling(report: &Report) -> Grid {
    let mut grid = Grid::new(
        "Scaling",
        "The Universal Scalability Law fitted to throughput by agents: σ is what is done one after another, κ what \
         each pair costs.",
        &["series", "runs", "one agent", "σ", "interval of σ", "κ", "interval of κ", "peak", "R²"],
        1,
    );
    for series in &report.analysis.series {
        let Some(scaling) = series.scaling else {
            let mut row = vec![series.name.clone(), series.points.len().to_string()];
            row.extend(std::iter::repeat_n("–".to_owned(), 7));
            grid.rows.push(row);
            continue;
        };
        let five = |interval: Interval| format!("[{:.5}, {:.5}]", interval.low, interval.high);
        let peak = scaling.peak.map(|peak| {
            let beyond = if peak.seen { "" } else { ", which is not certain: κ may be 0" };
            let (low, high) = (peak.interval.low, peak.interval.high);
            format!("{:.1} agents [{low:.1}, {high:.1}], {:.0} tok/s{beyond}", peak.streams, peak.throughput)
        });
        grid.rows.push(vec![
            series.name.clone(),
            scaling.n.to_string(),
            format!("{:.1} tok/s", scaling.one.value),
            format!("{:.4}", scaling.contention.value),
            five(scaling.contention.interval),
            format!("{:.6}", scaling.coherency.value),
            five(scaling.coherency.interval),
            peak.unwrap_or_else(|| "none".into()),
            format!("{:.3}", scaling.r_squared),
        ]);
    }
    grid
}
