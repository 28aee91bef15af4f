//! Draws the panel: totals with sparklines, the chosen table, and the keys.

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table as Grid},
};

use super::{
    feed::FeedState,
    overview::Overview,
    table::{Table, time},
    view::{Tab, View},
};

/// The smallest terminal, in columns and rows.
const LEAST: (u16, u16) = (60, 16);
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
    value: String,
    detail: String,
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
        let [head, totals, tabs, table, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(6),
            Constraint::Length(1),
            Constraint::Min(4),
            Constraint::Length(1),
        ])
        .areas(area);
        frame.render_widget(self.head(), head);
        self.draw_totals(frame, totals);
        frame.render_widget(self.tabs(), tabs);
        self.draw_table(frame, table);
        frame.render_widget(self.foot(), foot);
    }

    fn color(&self, color: Color) -> Style {
        if self.has_color { Style::new().fg(color) } else { Style::new() }
    }

    fn head(&self) -> Line<'_> {
        if let Some((why, since)) = &self.state.away {
            let text = format!(
                "{} does not answer: {why}. Trying again ({}).",
                self.address,
                time(since.elapsed().as_secs_f64())
            );
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
        let failed =
            newest("failed").map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0));
        [
            Total {
                title: "Streams",
                value: format!("{}, {} decoding", overview.streams.running, overview.streams.decoding),
                detail: format!("{:.0} queued", newest("queued").unwrap_or_default()),
                points: overview.column("streams"),
                color: Color::Green,
            },
            Total {
                title: "Tokens/s",
                value: newest("tokens").map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
                detail: format!("gap p99 {}", spell(newest("gap_p99"))),
                points: overview.column("tokens"),
                color: Color::Cyan,
            },
            Total {
                title: "First token",
                value: spell(newest("first_token_p50")),
                detail: format!("p99 {}", spell(newest("first_token_p99"))),
                points: overview.column("first_token_p50"),
                color: Color::Blue,
            },
            Total {
                title: "Failed",
                value: failed,
                detail: format!("hidden queue {}", spell(newest("hidden_p50"))),
                points: overview.column("failed"),
                color: Color::Red,
            },
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
            frame.render_widget(Line::styled(total.value, bold), value);
            frame.render_widget(Line::raw(total.detail), detail);
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
            let text =
                if self.table.hidden > 0 { "No row contains the filter. Esc removes it." } else { *empty };
            let place = Rect { y: area.y + 1, height: area.height - 1, ..area };
            return frame.render_widget(Paragraph::new(text), place);
        }
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
            Row::new(
                row.iter().zip(*columns).map(|(cell, column)| aligned(cell.text.clone(), column.is_number)),
            )
        });
        let widths = columns.iter().map(|column| match column.grows {
            true => Constraint::Min(column.width),
            false => Constraint::Length(column.width + 1),
        });
        frame.render_widget(Grid::new(lines, widths).header(head).column_spacing(1), area);
    }

    fn foot(&self) -> Line<'_> {
        let View { filter, is_typing, .. } = self.view;
        if *is_typing {
            return Line::raw(format!("filter: {filter}▏ (Enter keeps it, Esc removes it)"));
        }
        if !filter.is_empty() {
            return Line::raw(format!(
                "filter: {filter}, {} rows hidden (Esc removes it)",
                self.table.hidden
            ));
        }
        Line::styled(KEYS, Style::new().add_modifier(Modifier::DIM))
    }
}

fn aligned(text: String, is_number: bool) -> Cell<'static> {
    let alignment = if is_number { Alignment::Right } else { Alignment::Left };
    Cell::from(Line::raw(text).alignment(alignment))
}
