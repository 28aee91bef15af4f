//! The report as one page without a script, which loads nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Report, grid::Grid, plot, text::CHANGES};
use crate::analysis::Verdict;

const STYLE: &str = include_str!("html/style.css");
/// The maximum number of windows, runs and rows of a page.
const RUNS: usize = 2_000;

pub(super) fn html(report: &Report) -> String {
    let names: Vec<&str> = report.sources.iter().map(|source| source.name.as_str()).collect();
    let title = format!("streamgauge report: {}", names.join(", "));
    let runs = Grid::runs(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    ul.verdict { @for line in report.verdict() { li { (line) } } }
                }
                main {
                    (problems(report))
                    (table(&Grid::sources(report)))
                    @for grid in Grid::figures(report).iter().take(1) { (table(grid)) }
                    section {
                        h2 { "Plots" }
                        @for plot in plot::plots(report) {
                            figure {
                                figcaption { strong { (plot.title) } " " (plot.caption) }
                                div role="img" aria-label=(format!("{}. {}", plot.title, plot.caption)) {
                                    (PreEscaped(plot.svg))
                                }
                            }
                        }
                    }
                    @for grid in Grid::figures(report).iter().skip(1) { (table(grid)) }
                    (sentences(CHANGES, &report.changes()))
                    (claims(report))
                    (sentences("Advice", &report.analysis.advice.sentences()))
                    (sentences("What this recording cannot decide", &report.analysis.advice.undecided))
                    (sentences("Notes", &report.analysis.notes))
                    @if (1..=RUNS).contains(&runs.rows.len()) { (table(&runs)) }
                }
                footer {
                    p { "Made by streamgauge " (env!("CARGO_PKG_VERSION")) ". Level "
                        (report.analysis.settings.level) ", seed " (report.analysis.settings.seed) ", "
                        (report.analysis.settings.resamples) " resamples." }
                }
            }
        }
    };
    page.into_string()
}

fn table(grid: &Grid) -> Markup {
    html! {
        section {
            h2 { (grid.title) }
            @if !grid.about.is_empty() { p { (grid.about) } }
            div.wide {
                table {
                    thead {
                        tr {
                            @for (place, name) in grid.header.iter().enumerate() {
                                th.number[place >= grid.texts] scope="col" { (name) }
                            }
                        }
                    }
                    tbody {
                        @for row in &grid.rows {
                            tr {
                                @for (place, value) in row.iter().enumerate() {
                                    td.number[place >= grid.texts] { (value) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn claims(report: &Report) -> Markup {
    let grid = Grid::claims(report);
    html! {
        section {
            h2 { (grid.title) }
            p { (grid.about) }
            dl.claims {
                @for claim in &report.analysis.claims {
                    @let (class, word) = match claim.verdict {
                        Verdict::Supported => ("supported", "supported"),
                        Verdict::Refuted => ("refuted", "refuted"),
                        Verdict::Undecided => ("undecided", "undecided"),
                    };
                    dt { span class=(class) { (word) } " “" (claim.says) "” " small { "(" (claim.section) ")" } }
                    dd { (claim.because) }
                }
            }
        }
    }
}

fn sentences(title: &str, sentences: &[String]) -> Markup {
    html! {
        @if !sentences.is_empty() {
            section {
                h2 { (title) }
                ul { @for sentence in sentences { li { (sentence) } } }
            }
        }
    }
}

fn problems(report: &Report) -> Markup {
    let problems: Vec<String> = report
        .sources
        .iter()
        .flat_map(|source| source.problems.iter().map(move |problem| format!("{}/{problem}", source.name)))
        .collect();
    sentences("Left out or corrected", &problems)
}
