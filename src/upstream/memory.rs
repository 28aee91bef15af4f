//! The models that a load is expected to evict from the memory of an upstream, from its lists of models in memory.

use std::collections::HashMap;

use super::health::Loaded;
use crate::protocol::canonical_model;

/// The number of models whose sizes are remembered.
const MODELS: usize = 256;

/// The observed use of an upstream's memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last size of each model in memory, in bytes, by canonical name.
    sizes: HashMap<String, u64>,
    /// The most models that were in memory at once.
    most_models: usize,
    /// The most bytes that the models in memory had at once.
    most_bytes: u64,
    /// Whether a model left the memory between two probes while another one entered it.
    has_evicted: bool,
}

impl Memory {
    /// Takes in the models in memory at the last probe and at this one.
    pub(super) fn observe(&mut self, before: &[Loaded], now: &[Loaded]) {
        let has = |list: &[Loaded], model: &str| list.iter().any(|one| one.model == model);
        let has_entered = now.iter().any(|one| !has(before, &one.model));
        let has_left = before.iter().any(|one| !has(now, &one.model));
        self.has_evicted |= has_entered && has_left;
        self.most_models = self.most_models.max(now.len());
        self.most_bytes = self.most_bytes.max(bytes(now));
        if self.sizes.len() + now.len() > MODELS {
            self.sizes.clear();
        }
        for one in now {
            if let Some(size) = one.size {
                self.sizes.insert(canonical_model(&one.model).into_owned(), size);
            }
        }
    }

    /// Returns the canonical names of the models that a load of `model` is expected to evict. The memory is assumed to
    /// have room for the most models and the most bytes that it had at once. No eviction is expected before one was
    /// observed, because the room may never have been used up. The model that expires next goes first.
    pub(super) fn evicted(&self, loaded: &[Loaded], model: &str) -> Vec<String> {
        if !self.has_evicted {
            return Vec::new();
        }
        let size = self.sizes.get(model).copied().unwrap_or(0);
        let mut left: Vec<_> = loaded.iter().collect();
        left.sort_by(|one, other| other.expires_at.cmp(&one.expires_at));
        let mut evicted = Vec::new();
        let mut used = bytes(loaded);
        while left.len() + 1 > self.most_models || used.saturating_add(size) > self.most_bytes {
            let Some(next) = left.pop() else { break };
            used -= next.size.unwrap_or(0);
            evicted.push(canonical_model(&next.model).into_owned());
        }
        evicted
    }
}

fn bytes(models: &[Loaded]) -> u64 {
    models.iter().filter_map(|one| one.size).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(models: &[(&str, u64, &str)]) -> Vec<Loaded> {
        let each = models.iter().map(|(model, size, expires_at)| Loaded {
            model: (*model).to_owned(),
            size: Some(*size),
            vram: None,
            context_length: None,
            expires_at: Some((*expires_at).to_owned()),
        });
        each.collect()
    }

    #[test]
    fn load_evicts_nothing_before_an_eviction_was_observed() {
        let mut memory = Memory::default();
        let one = loaded(&[("a:latest", 10, "1")]);
        memory.observe(&[], &one);
        assert!(memory.evicted(&one, "b:latest").is_empty());
        // A model that left by itself was not evicted.
        memory.observe(&one, &[]);
        assert!(memory.evicted(&one, "b:latest").is_empty());
        memory.observe(&one, &loaded(&[("b:latest", 10, "2")]));
        assert_eq!(memory.evicted(&one, "b:latest"), ["a:latest"]);
    }

    #[test]
    fn load_evicts_models_that_expire_next_until_the_room_of_the_past_suffices() {
        let mut memory = Memory::default();
        let three = loaded(&[("a:latest", 2, "3"), ("b:latest", 2, "1"), ("c:latest", 2, "2")]);
        let big = loaded(&[("big:latest", 5, "4")]);
        memory.observe(&[], &three);
        memory.observe(&three, &big);
        assert_eq!(memory.evicted(&three, "unknown:latest"), ["b:latest"], "it takes one of three places");
        assert_eq!(memory.evicted(&three, "big:latest"), ["b:latest", "c:latest", "a:latest"]);
        assert_eq!(memory.evicted(&three[..1], "b:latest"), [""; 0]);
        // The room turns out to be larger.
        let four = loaded(&[("a:latest", 2, "3"), ("big:latest", 5, "4")]);
        memory.observe(&big, &four);
        assert_eq!(memory.evicted(&three[..1], "big:latest"), [""; 0]);
    }

    #[test]
    fn load_into_an_empty_memory_evicts_nothing() {
        let mut memory = Memory::default();
        memory.observe(&loaded(&[("a:latest", 1, "1")]), &loaded(&[("b:latest", 1, "1")]));
        assert!(memory.evicted(&[], "huge:latest").is_empty());
    }
}
