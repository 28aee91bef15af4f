//! The panel: draws the newest state, handles the keys, and restores the terminal at the end.

use std::{io, time::Duration};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyEventKind},
};

use super::{
    draw,
    feed::{Feed, FeedState},
    overview::Overview,
    table::Table,
    view::{Request, View},
};
use crate::config;

/// The longest time between two frames, so that ages such as "12 s ago" advance.
const EVERY: Duration = Duration::from_millis(250);

/// A live panel of one sidecar.
#[derive(Debug)]
pub(crate) struct Panel {
    feed: Feed,
    view: View,
    /// The shown state: the newest one, or the one at the moment of the pause.
    shown: FeedState,
    has_color: bool,
    /// A note about this sidecar for the first line.
    note: String,
}

impl Panel {
    pub(crate) fn new(feed: Feed) -> Panel {
        let shown = feed.state.borrow().clone();
        Panel { feed, view: View::default(), shown, has_color: !config::no_color(), note: String::new() }
    }

    /// Shows a note in the first line.
    pub(crate) fn note(mut self, note: String) -> Panel {
        self.note = note;
        self
    }

    /// Runs in the terminal until the user quits or `is_over` returns true.
    ///
    /// # Errors
    /// The terminal cannot be read or written.
    pub(crate) fn run(self, is_over: impl Fn() -> bool) -> io::Result<()> {
        let terminal = ratatui::try_init()?;
        let ran = self.show(terminal, is_over);
        // Restore the terminal whatever happened.
        ratatui::restore();
        ran
    }

    fn show(mut self, mut terminal: DefaultTerminal, is_over: impl Fn() -> bool) -> io::Result<()> {
        while !is_over() {
            if !self.view.is_paused {
                self.shown = self.feed.state.borrow_and_update().clone();
            }
            terminal.draw(|frame| self.draw(frame))?;
            if event::poll(EVERY)?
                && let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && self.view.key(key, self.columns()) == Request::Quit
            {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let empty = Overview::default();
        let overview = self.shown.overview.as_ref().unwrap_or(&empty);
        let table = Table::of(overview, self.view.tab, self.view.order(), &self.view.filter);
        // Scrolling ends at the last row.
        self.view.scroll = self.view.scroll.min(table.rows.len().saturating_sub(1));
        let picture = draw::Picture {
            address: &self.feed.address,
            state: &self.shown,
            overview,
            table: &table,
            view: &self.view,
            has_color: self.has_color,
            note: &self.note,
        };
        picture.draw(frame);
    }

    /// The number of columns of the shown table.
    fn columns(&self) -> usize {
        let empty = Overview::default();
        self.view.tab.columns(self.shown.overview.as_ref().unwrap_or(&empty)).len()
    }

    #[cfg(test)]
    pub(super) fn view(&mut self) -> &mut View {
        &mut self.view
    }
}
