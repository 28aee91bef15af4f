//! The known callers.

use std::{
    collections::HashMap,
    ops::{Index, IndexMut},
};

use super::caller::{CallerState, Terms};

/// The number of callers that are kept.
const KEPT: usize = 1024;

/// The callers by number. A caller without a request is kept for its virtual time, until there are too many callers.
#[derive(Debug)]
pub(super) struct Callers<W, G> {
    all: Vec<CallerState<W, G>>,
    numbers: HashMap<Box<str>, usize>,
    vacant: Vec<usize>,
    /// The number of callers at which the callers without a request are forgotten.
    most: usize,
}

impl<W, G> Default for Callers<W, G> {
    fn default() -> Callers<W, G> {
        Callers { all: Vec::new(), numbers: HashMap::new(), vacant: Vec::new(), most: KEPT }
    }
}

impl<W, G> Callers<W, G> {
    /// Returns the number of a caller. A new caller gets these terms.
    pub(super) fn enter(&mut self, name: &str, terms: Terms, lanes: usize) -> usize {
        if let Some(&id) = self.numbers.get(name) {
            return id;
        }
        if self.numbers.len() >= self.most {
            self.forget();
        }
        let caller = CallerState::new(name, terms, lanes);
        let id = match self.vacant.pop() {
            Some(id) => {
                self.all[id] = caller;
                id
            }
            None => {
                self.all.push(caller);
                self.all.len() - 1
            }
        };
        self.numbers.insert(name.into(), id);
        id
    }

    fn forget(&mut self) {
        for (id, caller) in self.all.iter().enumerate() {
            if caller.is_idle() && self.numbers.get(&caller.name) == Some(&id) {
                self.numbers.remove(&caller.name);
                self.vacant.push(id);
            }
        }
        self.most = KEPT.max(2 * self.numbers.len());
    }

    /// Returns the caller with the most waiting requests. Among equals it is the caller of the newest request.
    pub(super) fn busiest(&self) -> Option<usize> {
        let waiting = self.all.iter().enumerate().filter(|(_, caller)| caller.waiting > 0);
        waiting.max_by_key(|(_, caller)| (caller.waiting, caller.newest())).map(|(id, _)| id)
    }

    /// The number of known callers.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Returns the numbers of the callers with waiting requests.
    pub(super) fn waiting(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|id| self.all[*id].waiting > 0).collect()
    }
}

impl<W, G> Index<usize> for Callers<W, G> {
    type Output = CallerState<W, G>;

    fn index(&self, id: usize) -> &CallerState<W, G> {
        &self.all[id]
    }
}

impl<W, G> IndexMut<usize> for Callers<W, G> {
    fn index_mut(&mut self, id: usize) -> &mut CallerState<W, G> {
        &mut self.all[id]
    }
}
