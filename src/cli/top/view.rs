//! The user's choices in the panel: table, order, filter, pause. Keys change them.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A table of the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Streams,
    Models,
    Upstreams,
    Callers,
    Requests,
}

impl Tab {
    pub(super) const ALL: [Tab; 5] = [Tab::Streams, Tab::Models, Tab::Upstreams, Tab::Callers, Tab::Requests];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Tab::Streams => "Streams",
            Tab::Models => "Models",
            Tab::Upstreams => "Upstreams",
            Tab::Callers => "Callers",
            Tab::Requests => "Requests",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// The column to sort by, and the direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: usize,
    pub(super) reversed: bool,
}

/// The effect of a key on the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Draw,
    Quit,
}

#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) tab: Tab,
    orders: [Order; Tab::ALL.len()],
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    /// The number of rows above the first shown row.
    pub(super) scroll: usize,
}

impl View {
    pub(super) fn order(&self) -> Order {
        self.orders[self.tab.index()]
    }

    /// Handles a key. `columns` is the number of columns of the shown table.
    pub(super) fn key(&mut self, key: KeyEvent, columns: usize) -> Request {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Request::Quit;
        }
        if self.is_typing {
            self.typed(key.code);
            return Request::Draw;
        }
        let order = &mut self.orders[self.tab.index()];
        match key.code {
            KeyCode::Char('q') => return Request::Quit,
            KeyCode::Char(digit @ '1'..='5') => self.turn(Tab::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab | KeyCode::Right => self.turn(self.neighbour(1)),
            KeyCode::BackTab | KeyCode::Left => self.turn(self.neighbour(Tab::ALL.len() - 1)),
            KeyCode::Char('s') => order.column = (order.column + 1) % columns.max(1),
            KeyCode::Char('r') => order.reversed = !order.reversed,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += 10,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
        Request::Draw
    }

    fn typed(&mut self, key: KeyCode) {
        self.scroll = 0;
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.is_typing = false;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
    }

    fn turn(&mut self, tab: Tab) {
        self.tab = tab;
        self.scroll = 0;
    }

    fn neighbour(&self, steps: usize) -> Tab {
        Tab::ALL[(self.tab.index() + steps) % Tab::ALL.len()]
    }
}
