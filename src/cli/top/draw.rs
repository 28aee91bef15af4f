//! Draws the panel: totals with sparklines, the chosen table, and the keys.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table as Grid, Widget, Wrap},
};

use super::{
    feed::FeedState,
    overview::Overview,
    table::{Table, time},
    view::{Tab, View},
};

/// The smallest terminal, in columns and rows.
const LEAST: (u16, u16) = (60, 16);
/// The width of the longest time, "599 min". With it, a label does not change as its time does.
const TIME: usize = 7;
/// The most rows of the head.
const MOST_HEAD: u16 = 2;
const KEYS: &str = "1-5 table  s sort  r reverse  / filter  arrows scroll  p pause  q quit";

/// The data of one frame.
pub(super) struct Picture<'a> {
    pub(super) address: &'a str,
    pub(super) state: &'a FeedState,
    pub(super) overview: &'a Overview,
    pub(super) table: &'a Table,
    pub(super) view: &'a View,
    pub(super) has_color: bool,
    /// Shown after the address. May be empty.
    pub(super) note: &'a str,
}

/// One of the totals.
struct Total {
    title: &'static str,
    /// The spellings, the longest first. The last one is for the narrowest terminal.
    value: Vec<String>,
    /// As `value`.
    detail: Vec<String>,
    points: Vec<f64>,
    color: Color,
}

impl Picture<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < LEAST.0 || area.height < LEAST.1 {
            let text = format!("The terminal is too small: {} x {} are needed.", LEAST.0, LEAST.1);
            return frame.render_widget(Paragraph::new(text), area);
        }
        let head = self.head();
        let [top, totals, tabs, table, foot] = Layout::vertical([
            Constraint::Length(rows(&head, area.width).min(MOST_HEAD)),
            Constraint::Length(6),
            Constraint::Length(1),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(area);
        draw_wrapped(frame, head, top);
        self.draw_totals(frame, totals);
        frame.render_widget(self.tabs(), tabs);
        self.draw_table(frame, table);
        if self.state.away.is_some() && self.state.overview.is_some() {
            // The figures are old.
            for area in [totals, table] {
                frame.buffer_mut().set_style(area, Style::new().add_modifier(Modifier::DIM));
            }
        }
        frame.render_widget(self.foot(), foot);
    }

    fn color(&self, color: Color) -> Style {
        if self.has_color { Style::new().fg(color) } else { Style::new() }
    }

    fn head(&self) -> Line<'_> {
        if let Some((trouble, since)) = &self.state.away {
            let text = format!("{}. Trying again ({}).", trouble.what, time(since.elapsed().as_secs_f64()));
            return Line::styled(text, self.color(Color::Red).add_modifier(Modifier::BOLD));
        }
        if self.state.overview.is_none() {
            return Line::raw(format!("Asking {} …", self.address));
        }
        let mut line = vec![
            Span::styled("streamgauge ", Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(format!("{}  {}", self.overview.version, self.address)),
        ];
        if !self.note.is_empty() {
            line.push(Span::styled(format!("  {}", self.note), Style::new().add_modifier(Modifier::DIM)));
        }
        let down: Vec<_> = self.overview.upstreams.iter().filter(|one| !one.alive).collect();
        for one in down {
            let text = format!("  {} ({}) is DOWN", one.name, one.address);
            line.push(Span::styled(text, self.color(Color::Red).add_modifier(Modifier::BOLD)));
        }
        for (is_so, word) in [(self.overview.draining, "  DRAINING"), (self.view.is_paused, "  PAUSED")] {
            if is_so {
                line.push(Span::styled(word, self.color(Color::Yellow).add_modifier(Modifier::BOLD)));
            }
        }
        Line::from(line)
    }

    fn totals(&self) -> [Total; 4] {
        let overview = self.overview;
        let newest = |name: &str| overview.newest(name);
        let spell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), time);
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
        let failed =
            newest("failed").map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0));
        let (gap, hidden) = (spell(newest("gap_p99")), spell(newest("hidden_p50")));
        [
            Total {
                title: "Streams",
                value: self.streams(),
                detail: vec![format!("{} queued", number(newest("queued")))],
                points: overview.column("streams"),
                color: Color::Green,
            },
            Total {
                title: "Tokens/s",
                value: vec![number(newest("tokens"))],
                detail: vec![format!("gap p99 {gap:<TIME$}"), format!("gap {gap}")],
                points: overview.column("tokens"),
                color: Color::Cyan,
            },
            Total {
                title: "First token",
                value: vec![spell(newest("first_token_p50"))],
                detail: vec![format!("p99 {}", spell(newest("first_token_p99")))],
                points: overview.column("first_token_p50"),
                color: Color::Blue,
            },
            Total {
                title: "Failed",
                value: vec![failed],
                detail: vec![format!("hidden queue {hidden:<TIME$}"), format!("queue {hidden}")],
                points: overview.column("failed"),
                color: Color::Red,
            },
        ]
    }

    /// The numbers of running and of decoding streams.
    fn streams(&self) -> Vec<String> {
        if self.state.overview.is_none() {
            return vec!["-".to_owned()];
        }
        let (running, decoding) = (self.overview.streams.running, self.overview.streams.decoding);
        vec![
            format!("{running} running, {decoding} decoding"),
            format!("{running} run, {decoding} decode"),
            format!("{running} running"),
        ]
    }

    fn draw_totals(&self, frame: &mut Frame<'_>, area: Rect) {
        let cells: [Rect; 4] = Layout::horizontal([Constraint::Ratio(1, 4); 4]).areas(area);
        for (total, cell) in self.totals().into_iter().zip(cells) {
            let block = Block::new().borders(Borders::ALL).title(total.title);
            let inside = block.inner(cell);
            frame.render_widget(block, cell);
            let [value, detail, plot] =
                Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(1)])
                    .areas(inside);
            let bold = self.color(total.color).add_modifier(Modifier::BOLD);
            frame.render_widget(Line::styled(fitting(total.value, inside.width), bold), value);
            frame.render_widget(Line::raw(fitting(total.detail, inside.width)), detail);
            // A sparkline takes whole numbers and shows the first ones that fit, so older ones are left out here.
            let kept = total.points.len().saturating_sub(usize::from(plot.width));
            let points: Vec<u64> = total.points[kept..].iter().map(|point| (point * 1e4) as u64).collect();
            frame.render_widget(Sparkline::default().data(points).style(self.color(total.color)), plot);
        }
    }

    fn tabs(&self) -> Line<'_> {
        let mut line = Vec::new();
        for (number, tab) in (1..).zip(Tab::ALL) {
            let style = match tab == self.view.tab {
                true => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
                false => Style::new(),
            };
            line.push(Span::styled(format!(" {number} {} ", tab.title()), style));
            line.push(Span::raw(" "));
        }
        Line::from(line)
    }

    fn draw_table(&self, frame: &mut Frame<'_>, area: Rect) {
        let order = self.view.order();
        let Table { columns, rows, empty, .. } = self.table;
        if rows.is_empty() {
            let text = match (&self.state.overview, &self.state.away) {
                (None, Some((trouble, _))) => trouble.next.as_str(),
                (None, None) => "",
                _ if self.table.hidden > 0 => "No row contains the filter. Esc removes it.",
                _ => *empty,
            };
            let place = Rect { y: area.y + 1, height: area.height - 1, ..area };
            return frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), place);
        }
        let widths = self.table.widths(area.width);
        let titles = columns.iter().enumerate().map(|(at, column)| {
            let arrow = match (at == order.column, order.reversed) {
                (false, _) => "",
                (true, false) => "▾",
                (true, true) => "▴",
            };
            aligned(format!("{}{arrow}", column.title), column.is_number)
        });
        let head = Row::new(titles).style(Style::new().add_modifier(Modifier::BOLD));
        let lines = rows.iter().skip(self.view.scroll).map(|row| {
            let cells = row.iter().zip(*columns).zip(&widths);
            Row::new(cells.map(|((cell, column), width)| {
                aligned(shortened(cell.text.clone(), *width), column.is_number)
            }))
        });
        frame.render_widget(
            Grid::new(lines, widths.iter().copied().map(Constraint::Length)).header(head).column_spacing(1),
            area,
        );
    }

    fn foot(&self) -> Line<'_> {
        let View { filter, is_typing, .. } = self.view;
        if *is_typing {
            return Line::raw(format!("filter: {filter}▏ (Enter keeps it, Esc removes it)"));
        }
        if !filter.is_empty() {
            return Line::raw(format!(
                "filter: {filter}, {} row{} hidden (Esc removes it)",
                self.table.hidden,
                if self.table.hidden == 1 { "" } else { "s" }
            ));
        }
        Line::styled(KEYS, Style::new().add_modifier(Modifier::DIM))
    }
}

/// The first of the texts that fits in this width. If none fits, the end of the last one is cut.
fn fitting(mut texts: Vec<String>, width: u16) -> String {
    let fits = |text: &String| Span::raw(text.as_str()).width() <= usize::from(width);
    let at = texts.iter().position(fits).unwrap_or(texts.len() - 1);
    shortened(texts.swap_remove(at), width)
}

/// Cuts the end of a text that is wider than this, and marks the cut.
fn shortened(mut text: String, width: u16) -> String {
    let wide = |text: &str| Span::raw(text).width() > usize::from(width);
    if !wide(&text) {
        return text;
    }
    text.push('…');
    while wide(&text) && text.pop().is_some() && text.pop().is_some() {
        text.push('…');
    }
    text
}

/// The number of rows of a line that is wrapped at this width.
fn rows(line: &Line<'_>, width: u16) -> u16 {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, MOST_HEAD + 1));
    Paragraph::new(line.clone()).wrap(Wrap { trim: true }).render(buffer.area, &mut buffer);
    let is_used = |row: &u16| (0..width).any(|column| buffer[(column, *row)].symbol() != " ");
    (1..=MOST_HEAD).rev().find(is_used).unwrap_or_default() + 1
}

/// Draws a line that is wrapped, and marks the cut if it is too long.
fn draw_wrapped(frame: &mut Frame<'_>, line: Line<'_>, area: Rect) {
    let is_cut = rows(&line, area.width) > area.height;
    frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: true }), area);
    if is_cut && let Some(last) = frame.buffer_mut().cell_mut((area.right() - 1, area.bottom() - 1)) {
        last.set_symbol("…");
    }
}

fn aligned(text: String, is_number: bool) -> Cell<'static> {
    let alignment = if is_number { Alignment::Right } else { Alignment::Left };
    Cell::from(Line::raw(text).alignment(alignment))
}
