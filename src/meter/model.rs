//! The closed list of models that have a label of their own.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

/// The first models that Ollama answered with success or had in its memory, up to a limit; the rest are `other`.
#[derive(Debug)]
pub(super) struct ModelTable {
    limit: usize,
    known: RwLock<BTreeSet<String>>,
}

impl ModelTable {
    pub(super) fn new(limit: usize) -> ModelTable {
        ModelTable { limit, known: RwLock::default() }
    }

    /// The label of a canonical name. `succeeded`: Ollama has such a model, so it may take a place.
    pub(super) fn label<'a>(&self, name: &'a str, succeeded: bool) -> &'a str {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return name;
        }
        if !succeeded {
            return "other";
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < self.limit {
            known.insert(name.to_owned());
        }
        if known.contains(name) { name } else { "other" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_takes_no_place_and_the_list_is_bounded() {
        let table = ModelTable::new(2);
        for junk in 0..1_000 {
            assert_eq!(table.label(&format!("junk{junk}"), false), "other");
        }
        assert_eq!(table.label("a", true), "a");
        assert_eq!(table.label("b", true), "b");
        assert_eq!(table.label("c", true), "other");
        assert_eq!(table.label("a", false), "a");
    }
}
