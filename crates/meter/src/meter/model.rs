//! The closed list of models with a label of their own.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{prompt::Density, truncation::Truncation};
use crate::protocol::{canonical_model, short_model};

/// The models with a label of their own, up to a limit. All others are `other`. Names are canonical.
#[derive(Debug)]
pub(super) struct ModelTable {
    limit: usize,
    /// Counts uses, so that the least recently used model is known.
    uses: AtomicU64,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    places: HashMap<String, Arc<Place>>,
    /// The models that each upstream has in memory.
    loaded: HashMap<String, Arc<Memory>>,
}

/// The models that an upstream had in memory when it was asked.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) asked: Instant,
    pub(super) models: Vec<Loaded>,
}

/// A model in memory, as its upstream lists it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InMemory<'a> {
    /// The name.
    pub name: &'a str,
    /// The tokens of its context, if the upstream lists them.
    pub context: Option<u64>,
    /// The time until the upstream unloads it unless it is used. `None`: never, or not known.
    pub expires_in: Option<Duration>,
}

/// A model in memory.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The canonical name.
    pub(super) name: String,
    /// The upstream's spelling.
    pub(super) label: String,
    /// Tokens of its context.
    pub(super) context: Option<u64>,
    /// The time at which it is unloaded unless it is used.
    pub(super) expires: Option<Instant>,
}

impl Memory {
    pub(super) fn find(&self, name: &str) -> Option<&Loaded> {
        self.models.iter().find(|loaded| loaded.name == name)
    }

    /// Whether the model was not in memory, or had another context, so that it must have been loaded.
    pub(super) fn lacks(&self, model: &Loaded) -> bool {
        let Some(known) = self.find(&model.name) else { return true };
        known.context.zip(model.context).is_some_and(|(known, now)| known != now)
    }
}

impl Loaded {
    /// A model on a list that was requested at this time.
    pub(super) fn new(model: &InMemory<'_>, asked: Instant) -> Loaded {
        Loaded {
            name: canonical_model(model.name).into_owned(),
            label: short_model(model.name).into_owned(),
            context: model.context,
            expires: model.expires_in.and_then(|time| asked.checked_add(time)),
        }
    }
}

/// The entry of a model in the table. While a request holds it, no other model takes it.
#[derive(Debug)]
pub(super) struct Place {
    label: String,
    used: AtomicU64,
    /// The tokens of the context with which the model was last loaded. 0: not known.
    context: AtomicU64,
    pub(super) density: Density,
    pub(super) truncation: Truncation,
}

/// The event that entitles a model to a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A request for it was accepted: it gets a free label.
    Accepted,
    /// An upstream has it in memory: it takes the label of the least recently used model that is in no memory.
    Loaded,
    /// It answered: it takes the label of the least recently used model.
    Answered,
}

impl Place {
    fn new(label: &str, used: u64) -> Place {
        Place {
            label: label.to_owned(),
            used: AtomicU64::new(used),
            context: AtomicU64::new(0),
            density: Density::default(),
            truncation: Truncation::default(),
        }
    }

    /// Returns the value of the label `model`.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Notes the tokens of the context with which the model is in memory.
    pub(super) fn loaded_with(&self, context: u64) {
        self.context.store(context, Relaxed);
    }

    /// Returns the tokens of the model's context, if an upstream reported them.
    pub(super) fn context(&self) -> Option<u64> {
        Some(self.context.load(Relaxed)).filter(|context| *context > 0)
    }
}

impl ModelTable {
    pub(super) fn new(limit: usize) -> ModelTable {
        ModelTable { limit, uses: AtomicU64::new(0), known: RwLock::default() }
    }

    /// Returns the entry of a model, if it has one. `uses`: a request asks the model to work.
    pub(super) fn find(&self, name: &str, uses: bool) -> Option<Arc<Place>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let place = known.places.get(name)?;
        if uses {
            place.used.store(self.now(), Relaxed);
        }
        Some(place.clone())
    }

    /// Returns the entry of a model. A model without one gets a new entry with this label, if it is entitled to it.
    /// `forget` is called with the label of the model that loses its entry.
    pub(super) fn claim(
        &self,
        name: &str,
        label: &str,
        claim: Claim,
        forget: impl FnOnce(&str),
    ) -> Option<Arc<Place>> {
        if let Some(place) = self.find(name, claim != Claim::Loaded) {
            return Some(place);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        // Another request may have created it in the meantime.
        if !known.places.contains_key(name) {
            if known.places.len() >= self.limit {
                let gives_way = known.gives_way(claim)?;
                // This happens within the lock, so that no model gets the label before its old series are removed.
                if let Some(place) = known.places.remove(&gives_way) {
                    forget(&place.label);
                }
            }
            known.places.insert(name.to_owned(), Arc::new(Place::new(label, now)));
        }
        known.places.get(name).cloned()
    }

    /// Notes the models that an upstream has in memory, and returns those that it had before.
    pub(super) fn loaded(&self, upstream: &str, memory: Arc<Memory>) -> Option<Arc<Memory>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.loaded.insert(upstream.to_owned(), memory)
    }

    /// Reads the models that an upstream had in memory when it was last asked.
    pub(super) fn memory<T>(&self, upstream: &str, read: impl FnOnce(&Memory) -> T) -> Option<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.loaded.get(upstream).map(|memory| read(memory))
    }

    fn now(&self) -> u64 {
        self.uses.fetch_add(1, Relaxed)
    }
}

impl Known {
    /// Returns the model that loses its entry, if any. A model that a request holds never does.
    fn gives_way(&self, claim: Claim) -> Option<String> {
        let is_loaded = |name: &str| self.loaded.values().any(|memory| memory.find(name).is_some());
        let idle = self.places.iter().filter(|(name, place)| {
            Arc::strong_count(place) == 1
                && match claim {
                    Claim::Accepted => false,
                    // Otherwise models in memory would take the label from each other again and again.
                    Claim::Loaded => !is_loaded(name),
                    Claim::Answered => true,
                }
        });
        idle.min_by_key(|(_, place)| place.used.load(Relaxed)).map(|(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims a label, and returns it with the label that was lost.
    fn claim(table: &ModelTable, name: &str, claim: Claim) -> (Option<String>, Option<String>) {
        let mut gone = None;
        let place = table.claim(name, &name.to_uppercase(), claim, |label| gone = Some(label.to_owned()));
        (place.map(|place| place.label().to_owned()), gone)
    }

    fn own(label: &str) -> (Option<String>, Option<String>) {
        (Some(label.to_owned()), None)
    }

    #[test]
    fn accepted_model_takes_free_label_and_evicts_none() {
        let table = ModelTable::new(2);
        assert_eq!(claim(&table, "a", Claim::Accepted), own("A"));
        assert_eq!(claim(&table, "b", Claim::Accepted), own("B"));
        for junk in 0..1_000 {
            assert_eq!(claim(&table, &format!("junk{junk}"), Claim::Accepted), (None, None));
        }
        assert_eq!(claim(&table, "a", Claim::Accepted), own("A"));
        assert_eq!(claim(&ModelTable::new(0), "a", Claim::Answered), (None, None));
    }

    #[test]
    fn answering_model_takes_label_of_least_recently_used_idle_model() {
        let table = ModelTable::new(2);
        let _ = claim(&table, "a", Claim::Answered);
        let _ = claim(&table, "b", Claim::Answered);
        assert!(table.find("a", true).is_some() && table.find("b", false).is_some());
        let (label, gone) = claim(&table, "c", Claim::Answered);
        assert_eq!((label.as_deref(), gone.as_deref()), (Some("C"), Some("B")));
        let held = [table.find("a", true), table.find("c", true)];
        assert_eq!(claim(&table, "d", Claim::Answered), (None, None), "both are held");
        drop(held);
        assert_eq!(claim(&table, "d", Claim::Answered).1.as_deref(), Some("A"));
    }

    #[test]
    fn models_in_memory_take_no_labels_from_each_other() {
        let table = ModelTable::new(2);
        let _ = claim(&table, "a:1", Claim::Answered);
        let _ = claim(&table, "b:1", Claim::Answered);
        let loads = |upstream: &str, names: &[&str]| {
            let asked = Instant::now();
            let loaded = |name: &&str| Loaded::new(&InMemory { name, ..InMemory::default() }, asked);
            let models = names.iter().map(loaded).collect();
            table.loaded(upstream, Arc::new(Memory { asked, models }));
        };
        loads("gpu0", &["b:1"]);
        loads("gpu1", &["c:1", "d:1"]);
        assert_eq!(claim(&table, "c:1", Claim::Loaded).1.as_deref(), Some("A:1"));
        assert_eq!(claim(&table, "d:1", Claim::Loaded), (None, None));
        assert_eq!(claim(&table, "d:1", Claim::Answered).1.as_deref(), Some("B:1"));
    }
}
