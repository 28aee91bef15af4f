//! The callers that are known.

use std::{
    collections::HashMap,
    ops::{Index, IndexMut},
};

use super::caller::{CallerState, Terms};

/// So many callers are kept.
const KEPT: usize = 1024;

/// The callers by number. A caller without a request is kept for its virtual time, until there are too many.
#[derive(Debug)]
pub(super) struct Callers<W, G> {
    all: Vec<CallerState<W, G>>,
    numbers: HashMap<Box<str>, usize>,
    vacant: Vec<usize>,
    /// The number of callers at which those without a request are forgotten.
    most: usize,
}

impl<W, G> Default for Callers<W, G> {
    fn default() -> Callers<W, G> {
        Callers { all: Vec::new(), numbers: HashMap::new(), vacant: Vec::new(), most: KEPT }
    }
}

impl<W, G> Callers<W, G> {
    /// The number of a caller. One that is new has these terms.
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

    /// The caller with the most requests that wait; of several, the one with the newest of them.
    pub(super) fn busiest(&self) -> Option<usize> {
        let waiting = self.all.iter().enumerate().filter(|(_, caller)| caller.waiting > 0);
        waiting.max_by_key(|(_, caller)| (caller.waiting, caller.newest())).map(|(id, _)| id)
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The numbers of those that have requests that wait.
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
