//! The loads of models that requests reported recently.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{Ending, ModelLoad};

/// The number of loads that are kept, in at most 64 KiB.
const KEPT: usize = 100;

/// A load of a model that a request reported.
#[derive(Clone, Debug)]
pub struct NotedLoad {
    /// The time at which the request ended.
    pub at: Instant,
    /// The label of the model.
    pub model: String,
    /// The label of the upstream.
    pub upstream: String,
    /// Why the model was loaded, and for whom.
    pub load: ModelLoad,
}

/// The newest of these loads, oldest first.
#[derive(Debug, Default)]
pub(super) struct NotedLoads(Mutex<VecDeque<NotedLoad>>);

impl NotedLoads {
    /// Keeps the load that a request reported. For any other request it costs nothing.
    pub(super) fn note(&self, ending: &Ending) {
        let Some(load) = ending.load.clone() else { return };
        let (model, upstream) = (ending.model.clone(), ending.upstream.clone());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(NotedLoad { at: Instant::now(), model, upstream, load });
    }

    /// Returns the newest loads first, at most `most`.
    pub(super) fn newest(&self, most: usize) -> Vec<NotedLoad> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::meter::{Config, Facts, LoadCause, Meter, Outcome};

    #[test]
    fn noted_loads_keep_the_newest_within_the_documented_memory() {
        let meter = Meter::register(&Registry::new(), &Config::default(), &["gpu0"]).unwrap();
        let (sender, endings) = std::sync::mpsc::sync_channel(1);
        let mut measurement = meter.start(Facts::new("POST", "/api/generate"));
        measurement.on_end(move |ending| sender.send(ending.clone()).unwrap());
        measurement.finish(Outcome::Complete);
        let plain = endings.recv().unwrap();

        let loads = NotedLoads::default();
        loads.note(&plain);
        assert!(loads.newest(usize::MAX).is_empty(), "this request reported no load");
        for number in 0..2 * KEPT {
            let load = ModelLoad {
                cause: LoadCause::Expired,
                caller: Some(number.to_string().into()),
                earlier_caller: None,
                expired_after: None,
                difference: None,
                evicted_by: None,
            };
            loads.note(&Ending { load: Some(load), ..plain.clone() });
        }
        let callers: Vec<_> = loads.newest(2).into_iter().map(|one| one.load.caller.unwrap()).collect();
        assert_eq!(callers, ["199".into(), "198".into()]);
        assert_eq!(loads.newest(usize::MAX).len(), KEPT);
        let longest = 64 * 4;
        assert!(KEPT * (size_of::<NotedLoad>() + longest) <= 64 << 10, "{}", size_of::<NotedLoad>());
    }
}
