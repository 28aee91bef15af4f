//! The rows of each table, filtered and sorted.

use ratatui::text::Span;

use super::{
    overview::{Overview, OverviewCounts},
    view::{Order, Tab},
};

/// A cell: the shown text, and the value to sort by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text,
    Number(f64),
}

/// A table as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The title of each column, and the narrowest terminal that shows the column.
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Vec<Cell>>,
    /// The number of rows that the filter hides.
    pub(super) hidden: usize,
    /// The text that is shown if there are no rows.
    pub(super) empty: &'static str,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: u16,
    /// How the column takes the remaining width. A column before it takes its part first.
    pub(super) growth: Growth,
    pub(super) is_number: bool,
}

/// How a column takes the remaining width.
#[derive(Clone, Copy, Debug)]
pub(super) enum Growth {
    Fixed,
    /// Up to this width, whatever it contains.
    UpTo(u16),
    /// Up to the width of its longest text.
    ToText,
}

/// The width of a column of names in a wide terminal. In a wider column, a row is hard to follow.
const WIDE_NAME: u16 = 40;

const fn text(title: &'static str, width: u16) -> Column {
    Column { title, width, growth: Growth::Fixed, is_number: false }
}

/// A column of names.
const fn names(title: &'static str, width: u16) -> Column {
    Column { title, width, growth: Growth::UpTo(WIDE_NAME), is_number: false }
}

/// A column of long texts.
const fn long(title: &'static str, width: u16) -> Column {
    Column { title, width, growth: Growth::ToText, is_number: false }
}

const fn number(title: &'static str, width: u16) -> Column {
    Column { title, width, growth: Growth::Fixed, is_number: true }
}

const STREAMS: &[Column] = &[
    number("AGE", 6),
    names("MODEL", 13),
    text("UPSTREAM", 9),
    text("ROUTE", 11),
    long("STATE", 9),
    number("TTFT", 6),
    number("TOKENS", 6),
    number("GAP p99", 7),
];
/// With the caller, which is the last column.
const STREAMS_OF_CALLERS: &[Column] = &[
    number("AGE", 6),
    names("MODEL", 10),
    text("UPSTREAM", 8),
    text("ROUTE", 5),
    long("STATE", 9),
    number("TTFT", 6),
    number("TOKENS", 6),
    number("GAP p99", 7),
    names("CALLER", 9),
];
const MODELS: &[Column] = &[
    number("REQUESTS", 8),
    names("MODEL", 20),
    number("RUNNING", 7),
    number("FAILED", 6),
    number("PROMPT TOK", 10),
    number("OUTPUT TOK", 10),
];
const UPSTREAMS: &[Column] = &[
    number("REQUESTS", 8),
    text("UPSTREAM", 12),
    text("STATE", 8),
    text("VERSION", 9),
    number("RUNNING", 7),
    number("FAILED", 6),
    long("LOADED MODELS", 15),
];
const CALLERS: &[Column] = &[
    number("REQUESTS", 8),
    names("CALLER", 20),
    number("REFUSED", 7),
    number("FAILED", 6),
    number("PROMPT TOK", 10),
    number("OUTPUT TOK", 10),
];
const REQUESTS: &[Column] =
    &[number("AGO", 7), long("REASON", 20), number("STATUS", 6), names("MODEL", 10), text("UPSTREAM", 10)];
/// Without the upstream, which is the last column.
const REQUESTS_OF_ONE_UPSTREAM: &[Column] = REQUESTS.split_at(REQUESTS.len() - 1).0;

impl Tab {
    pub(super) fn columns(self, overview: &Overview) -> &'static [Column] {
        match self {
            Tab::Requests if overview.upstreams.len() == 1 => REQUESTS_OF_ONE_UPSTREAM,
            Tab::Streams if has_callers(overview) => STREAMS_OF_CALLERS,
            Tab::Streams => STREAMS,
            Tab::Models => MODELS,
            Tab::Upstreams => UPSTREAMS,
            Tab::Callers => CALLERS,
            Tab::Requests => REQUESTS,
        }
    }

    const fn empty(self) -> &'static str {
        match self {
            Tab::Streams => "No stream is running.",
            Tab::Models | Tab::Upstreams | Tab::Callers => "No request has ended yet.",
            Tab::Requests => "No request has failed or was slow.",
        }
    }
}

impl Table {
    /// Builds a table. A row is kept if one of its texts contains the filter, in upper or lower case.
    pub(super) fn of(overview: &Overview, tab: Tab, order: Order, filter: &str) -> Table {
        let columns = tab.columns(overview);
        let mut rows = match tab {
            Tab::Streams => streams(overview),
            Tab::Models => overview.totals.models.iter().map(|one| model(overview, one)).collect(),
            Tab::Upstreams => upstreams(overview),
            Tab::Callers => overview.totals.callers.iter().map(caller).collect(),
            Tab::Requests => noted(overview),
        };
        // The filter must not match a text that is not shown.
        rows.iter_mut().for_each(|row| row.truncate(columns.len()));
        let (all, wanted) = (rows.len(), filter.to_lowercase());
        rows.retain(|row: &Vec<Cell>| row.iter().any(|cell| cell.text.to_lowercase().contains(&wanted)));
        sort(&mut rows, order);
        Table { columns, hidden: all - rows.len(), rows, empty: tab.empty() }
    }

    /// The width of each column in a table of this width, with one space between columns.
    pub(super) fn widths(&self, width: u16) -> Vec<u16> {
        // A fixed column has room for the arrow of the order.
        let least = |column: &Column| column.width + u16::from(matches!(column.growth, Growth::Fixed));
        let mut widths: Vec<_> = self.columns.iter().map(least).collect();
        let taken = widths.iter().sum::<u16>() + self.columns.len() as u16 - 1;
        let mut spare = width.saturating_sub(taken);
        for (at, column) in self.columns.iter().enumerate() {
            let wanted = match column.growth {
                Growth::Fixed => continue,
                Growth::UpTo(most) => most,
                Growth::ToText => {
                    let longest = self.rows.iter().map(|row| Span::raw(row[at].text.as_str()).width()).max();
                    u16::try_from(longest.unwrap_or_default()).unwrap_or(u16::MAX)
                }
            };
            let more = wanted.saturating_sub(widths[at]).min(spare);
            widths[at] += more;
            spare -= more;
        }
        widths
    }
}

/// Sorts numbers from the largest and texts from A, unless the order is reversed.
fn sort(rows: &mut [Vec<Cell>], order: Order) {
    rows.sort_by(|one, other| {
        let (Some(one), Some(other)) = (one.get(order.column), other.get(order.column)) else {
            return std::cmp::Ordering::Equal;
        };
        let compared = match (&one.value, &other.value) {
            (Value::Number(one), Value::Number(other)) => other.total_cmp(one),
            _ => one.text.cmp(&other.text),
        };
        if order.reversed { compared.reverse() } else { compared }
    });
}

/// Whether a stream has a key. Without keys, every caller is `anonymous`.
fn has_callers(overview: &Overview) -> bool {
    overview.streams.shown.iter().filter_map(|one| one.caller.as_deref()).any(|caller| caller != "anonymous")
}

fn streams(overview: &Overview) -> Vec<Vec<Cell>> {
    let rows = overview.streams.shown.iter().map(|one| {
        let state = match (one.queue_position, one.decoding, one.time_to_first_token_seconds) {
            (Some(position), ..) => match one.queue_expected_seconds {
                Some(wait) => format!("queued {position}, {}", time(wait)),
                None => format!("queued {position}"),
            },
            (None, true, _) => "decoding".to_owned(),
            (None, false, None) => "waiting".to_owned(),
            (None, false, Some(_)) => "ending".to_owned(),
        };
        let state = if one.overlong_prompt { state + ", prompt too long" } else { state };
        vec![
            seconds(Some(one.age_seconds)),
            name(one.model.as_deref().unwrap_or("-")),
            name(one.upstream.as_deref().unwrap_or("-")),
            name(&one.route),
            name(&state),
            seconds(one.time_to_first_token_seconds),
            count(one.tokens as f64),
            seconds(one.gap_p99_seconds),
            name(one.caller.as_deref().unwrap_or("-")),
        ]
    });
    rows.collect()
}

fn model(overview: &Overview, counts: &OverviewCounts) -> Vec<Cell> {
    let running = overview.streams.by_model.get(&counts.name).copied().unwrap_or_default();
    vec![
        count(counts.requests),
        name(&counts.name),
        count(running as f64),
        count(counts.failed),
        count(counts.prompt_tokens),
        count(counts.output_tokens),
    ]
}

fn upstreams(overview: &Overview) -> Vec<Vec<Cell>> {
    let rows = overview.upstreams.iter().map(|one| {
        let counts = overview.totals.upstreams.iter().find(|counts| counts.name == one.name);
        let running = overview.streams.by_upstream.get(&one.name).copied().unwrap_or_default();
        let loaded = one.loaded.as_deref().unwrap_or_default();
        let state = match (&one.why, loaded) {
            (Some(why), _) if !one.alive => why.clone(),
            _ if one.alive && one.wedged => "sends nothing for longer than usual".to_owned(),
            (_, []) => "-".to_owned(),
            (_, loaded) => loaded.join(", "),
        };
        let limit = match (one.found_limit, &one.found_limit_reason) {
            (Some(limit), Some(reason)) => format!("at most {limit} ({}); ", reason.replace('_', " ")),
            _ => String::new(),
        };
        let state = if one.alive { limit + &state } else { state };
        vec![
            count(counts.map_or(0.0, |counts| counts.requests)),
            name(&one.name),
            name(match one {
                _ if !one.alive => "DOWN",
                _ if one.wedged => "WEDGED",
                _ => "up",
            }),
            name(one.version.as_deref().unwrap_or("-")),
            count(running as f64),
            count(counts.map_or(0.0, |counts| counts.failed)),
            name(&state),
        ]
    });
    rows.collect()
}

fn caller(counts: &OverviewCounts) -> Vec<Cell> {
    vec![
        count(counts.requests),
        name(&counts.name),
        count(counts.refused),
        count(counts.failed),
        count(counts.prompt_tokens),
        count(counts.output_tokens),
    ]
}

/// The requests that failed or were slow, newest first: their age is sorted as a negative number.
fn noted(overview: &Overview) -> Vec<Vec<Cell>> {
    let rows = overview.requests.iter().map(|one| {
        let finish = one.finish.as_ref().map(|finish| format!("finish {}", finish.replace('_', " ")));
        let cut = one.prompt_cut.then(|| "the prompt was probably cut".to_owned());
        let reason: Vec<_> = [Some(one.reason.clone()), finish, cut].into_iter().flatten().collect();
        vec![
            Cell { value: Value::Number(-one.ago_seconds), ..seconds(Some(one.ago_seconds)) },
            name(&reason.join("; ")),
            one.status.map_or_else(|| name("-"), |status| count(f64::from(status))),
            name(&one.model),
            name(&one.upstream),
        ]
    });
    rows.collect()
}

/// A text from outside. Its control characters are replaced, so that it cannot control the terminal.
fn name(text: &str) -> Cell {
    Cell { text: text.replace(char::is_control, "?"), value: Value::Text }
}

fn count(value: f64) -> Cell {
    let text = match value {
        v if v >= 1e9 => format!("{:.1}G", v / 1e9),
        v if v >= 1e7 => format!("{:.1}M", v / 1e6),
        v => format!("{v:.0}"),
    };
    Cell { text, value: Value::Number(value) }
}

fn seconds(value: Option<f64>) -> Cell {
    Cell { text: value.map_or_else(|| "-".to_owned(), time), value: Value::Number(value.unwrap_or(-1.0)) }
}

/// Seconds with two or three digits.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 36_000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}
