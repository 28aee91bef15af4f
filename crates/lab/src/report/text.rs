//! The report for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets};

use super::{Report, grid::Grid};

const STYLE: TableStyle = presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
/// The title of what differs between the environments of recordings.
pub(super) const CHANGES: &str = "What else differs between the recordings";
/// The maximum number of runs in a terminal. JSON and HTML contain all runs.
const RUNS: usize = 60;

pub(super) fn text(report: &Report, width: Option<u16>) -> String {
    let mut text = String::new();
    if let Some(warning) = report.warning() {
        text.push_str(warning);
        text.push_str("\n\n");
    }
    let mut show = |grid: &Grid| {
        text.push_str(&format!("{}\n{}", grid.title, table(grid, width)));
        if !grid.about.is_empty() {
            text.push_str(&format!("\n{}", grid.about));
        }
        text.push_str("\n\n");
    };
    show(&Grid::sources(report));
    let figures = Grid::figures(report);
    let runs = Grid::runs(report);
    if let Some(conditions) = figures.first() {
        show(conditions);
    }
    if (1..=RUNS).contains(&runs.rows.len()) {
        show(&runs);
    }
    figures.iter().skip(1).for_each(&mut show);
    show(&Grid::claims(report));
    if runs.rows.len() > RUNS {
        text.push_str(&format!("{} runs: each of them is in --format json and html.\n\n", runs.rows.len()));
    }
    section(&mut text, CHANGES, &report.changes());
    section(&mut text, "Advice", &report.analysis.advice.sentences());
    section(&mut text, "What this recording cannot decide", &report.analysis.advice.undecided);
    section(&mut text, "Notes", &report.analysis.notes);
    let problems = report.sources.iter().flat_map(|source| {
        source.problems.iter().map(|problem| match report.sources.len() {
            1 => problem.to_string(),
            _ => format!("{}/{problem}", source.name),
        })
    });
    section(&mut text, "Left out or corrected", &problems.collect::<Vec<String>>());
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn section(text: &mut String, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    text.push_str(title);
    text.push('\n');
    for sentence in sentences {
        text.push_str(&format!("  - {sentence}\n"));
    }
    text.push('\n');
}

fn table(grid: &Grid, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(grid.header.clone()).add_rows(grid.rows.clone());
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for column in table.column_iter_mut().skip(grid.texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
