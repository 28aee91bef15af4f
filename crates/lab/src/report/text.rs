//! The report for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets};

use super::{Report, grid::Grid};

const STYLE: TableStyle = presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
/// The mark of a sentence in a list.
pub(super) const MARK: &str = "  -";
/// The title of what differs between the environments of recordings.
pub(super) const CHANGES: &str = "What else differs between the recordings";
/// The maximum number of runs in a terminal. JSON and HTML contain all runs.
const RUNS: usize = 60;

/// Returns the verdict and the one table that it is about, in at most `width` columns.
pub(super) fn short(report: &Report, width: Option<u16>) -> String {
    let mut text = String::from("Verdict\n");
    for line in report.short_verdict() {
        text.push_str(&wrapped(MARK, &line, width));
    }
    let figures = Grid::main(report);
    if let Some(grid) = &figures {
        let grid = grid.fitting(width);
        text.push_str(&format!("\n{}\n{}\n", grid.title, table(&grid, width)));
    }
    text.push('\n');
    text.push_str(&wrapped(
        "",
        "--full shows every table, claim and note; --format html also draws them.",
        width,
    ));
    text
}

/// Returns everything, as tables and lists.
pub(super) fn full(report: &Report, width: Option<u16>) -> String {
    let mut text = String::new();
    text.push_str("Verdict\n");
    for line in report.verdict() {
        text.push_str(&wrapped(MARK, &line, width));
    }
    text.push('\n');
    let mut show = |grid: &Grid| {
        text.push_str(&format!("{}\n{}", grid.title, table(grid, width)));
        if !grid.about.is_empty() {
            text.push_str(&format!("\n{}", wrapped("", grid.about, width).trim_end()));
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
    let mut section = |title: &str, sentences: &[String]| section(&mut text, title, sentences, width);
    section(CHANGES, &report.changes());
    section("Advice", &report.analysis.advice.sentences());
    section("What this recording cannot decide", &report.analysis.advice.undecided);
    section("Notes", &report.analysis.notes);
    let problems = report.sources.iter().flat_map(|source| {
        source.problems.iter().map(|problem| match report.sources.len() {
            1 => problem.to_string(),
            _ => format!("{}/{problem}", source.name),
        })
    });
    section("Left out or corrected", &problems.collect::<Vec<String>>());
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Returns a sentence after its mark, broken between words if it is wider than `width`.
pub(super) fn wrapped(mark: &str, sentence: &str, width: Option<u16>) -> String {
    let width = width.map_or(usize::MAX, |width| usize::from(width).max(20));
    let indent = mark.chars().count();
    let (mut text, mut column) = (mark.to_owned(), indent);
    for word in sentence.split_whitespace() {
        let letters = word.chars().count();
        if column + 1 + letters > width && column > indent {
            text.push_str(&format!("\n{}", " ".repeat(indent)));
            column = indent;
        }
        if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += letters;
    }
    text.push('\n');
    text
}

fn section(text: &mut String, title: &str, sentences: &[String], width: Option<u16>) {
    if sentences.is_empty() {
        return;
    }
    text.push_str(title);
    text.push('\n');
    for sentence in sentences {
        text.push_str(&wrapped(MARK, sentence, width));
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
