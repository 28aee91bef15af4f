//! The models that exist, the models in memory, and the hidden queue of each of these.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Config;
use super::ask::KeepAlive;
use super::name::{listed, same};
use super::seed::Seed;
use super::stamp::unix_now;
use super::truth::Truth;

/// The distance of "forever" in `/api/ps`: the longest duration of Go.
const FOREVER: Duration = Duration::from_secs(i64::MAX as u64 / 1_000_000_000);

/// All models.
#[derive(Debug)]
pub(super) struct Shelf {
    state: Mutex<State>,
    waiting: AtomicUsize,
    truth: Arc<Truth>,
    load_time: Duration,
    parallel: usize,
    max_queue: usize,
}

#[derive(Debug)]
struct State {
    models: Vec<Model>,
    residents: Vec<Resident>,
}

/// A model that exists.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// The name, with its tag.
    pub(super) name: String,
    /// Time of the last change, since the Unix epoch.
    pub(super) modified: Duration,
}

/// A model in memory, or being loaded.
#[derive(Debug)]
struct Resident {
    name: String,
    ready: Instant,
    keep: KeepAlive,
    used: Instant,
    users: usize,
    slots: Arc<Semaphore>,
    /// The prompts in the caches of its slots.
    prompts: VecDeque<Seed>,
}

/// A slot of a model in memory. The model stays in memory while the slot is held.
#[derive(Debug)]
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
    _user: User,
    /// The time at which the model is loaded.
    pub(super) ready: Instant,
    /// Whether the cache of a slot has the prompt.
    pub(super) cached: bool,
}

/// The queue is full.
#[derive(Debug)]
pub(super) struct Full;

#[derive(Debug)]
struct User {
    shelf: Arc<Shelf>,
    name: String,
}

#[derive(Debug)]
struct Waiting<'a>(&'a Shelf);

impl Shelf {
    pub(super) fn new(config: &Config, truth: Arc<Truth>) -> Self {
        let modified = unix_now();
        let models = config.models.iter().map(|name| Model { name: listed(name), modified }).collect();
        Self {
            state: Mutex::new(State { models, residents: Vec::new() }),
            waiting: AtomicUsize::new(0),
            truth,
            load_time: config.load_time,
            parallel: config.parallel.clamp(1, Semaphore::MAX_PERMITS),
            max_queue: config.max_queue,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the models that exist.
    pub(super) fn models(&self) -> Vec<Model> {
        self.state().models.clone()
    }

    /// Returns the model that a name means.
    pub(super) fn find(&self, name: &str) -> Option<Model> {
        self.state().find(name).cloned()
    }

    /// Adds a model. If the name means an existing model, that model is updated and keeps its spelling.
    pub(super) fn add(&self, name: &str) {
        let mut state = self.state();
        let name = state.find(name).map_or_else(|| listed(name), |model| model.name.clone());
        state.models.retain(|other| other.name != name);
        state.models.insert(0, Model { name, modified: unix_now() });
    }

    /// Removes a model, from memory too. Returns whether it existed.
    pub(super) fn remove(&self, name: &str) -> bool {
        let mut state = self.state();
        let before = state.models.len();
        state.models.retain(|model| !same(&model.name, name));
        state.residents.retain(|resident| !same(&resident.name, name));
        state.models.len() < before
    }

    /// Returns the models in memory, and the time at which each is unloaded, since the Unix epoch.
    pub(super) fn residents(&self) -> Vec<(String, Duration)> {
        let (now, wall) = (Instant::now(), unix_now());
        let mut state = self.state();
        state.prune(now);
        state
            .residents
            .iter()
            .filter(|resident| resident.ready <= now)
            .map(|resident| (resident.name.clone(), wall + resident.left(now).unwrap_or(FOREVER)))
            .collect()
    }

    /// Unloads a model as soon as no request uses it.
    pub(super) fn unload(&self, name: &str) {
        let mut state = self.state();
        if let Some(resident) = state.residents.iter_mut().find(|resident| same(&resident.name, name)) {
            resident.keep = KeepAlive::NONE;
        }
        state.prune(Instant::now());
    }

    /// Loads a model if necessary, and waits for the load and for one of its slots, in order of arrival.
    pub(super) async fn seat(
        self: &Arc<Self>,
        name: &str,
        keep: Option<KeepAlive>,
        prompt: Seed,
    ) -> Result<Seat, Full> {
        let name = self.find(name).map_or_else(|| listed(name), |model| model.name);
        let (user, slots, ready) = self.hold(name, keep);
        let permit = match Arc::clone(&slots).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = self.enqueue()?;
                slots.acquire_owned().await.map_err(|_| Full)?
            }
        };
        tokio::time::sleep_until(ready).await;
        let cached = self.remember(&user.name, prompt);
        Ok(Seat { _permit: permit, _user: user, ready, cached })
    }

    fn hold(self: &Arc<Self>, name: String, keep: Option<KeepAlive>) -> (User, Arc<Semaphore>, Instant) {
        let now = Instant::now();
        let mut state = self.state();
        state.prune(now);
        let index = state.residents.iter().position(|resident| resident.name == name).unwrap_or_else(|| {
            state.residents.push(Resident {
                name: name.clone(),
                ready: now + self.load_time,
                keep: KeepAlive::DEFAULT,
                used: now,
                users: 0,
                slots: Arc::new(Semaphore::new(self.parallel)),
                prompts: VecDeque::new(),
            });
            state.residents.len() - 1
        });
        let resident = &mut state.residents[index];
        resident.users += 1;
        resident.keep = keep.unwrap_or(KeepAlive::DEFAULT);
        let (slots, ready) = (Arc::clone(&resident.slots), resident.ready);
        (User { shelf: Arc::clone(self), name }, slots, ready)
    }

    fn enqueue(&self) -> Result<Waiting<'_>, Full> {
        let waiting = self
            .waiting
            .fetch_update(Relaxed, Relaxed, |waiting| (waiting < self.max_queue).then_some(waiting + 1))
            .map_err(|_| Full)?;
        self.truth.waiting_changed(waiting + 1);
        Ok(Waiting(self))
    }

    fn remember(&self, name: &str, prompt: Seed) -> bool {
        let mut state = self.state();
        let Some(resident) = state.residents.iter_mut().find(|resident| resident.name == name) else {
            return false;
        };
        if resident.prompts.contains(&prompt) {
            return true;
        }
        resident.prompts.push_back(prompt);
        if resident.prompts.len() > self.parallel {
            resident.prompts.pop_front();
        }
        false
    }
}

impl State {
    fn find(&self, name: &str) -> Option<&Model> {
        // A name that Ollama would refuse is matched as it is spelled, because a test may use one.
        self.models.iter().find(|model| model.name == name || same(&model.name, name))
    }

    fn prune(&mut self, now: Instant) {
        self.residents.retain(|resident| resident.users > 0 || resident.left(now) != Some(Duration::ZERO));
    }
}

impl Resident {
    /// Returns the time until it is unloaded. `None`: never.
    fn left(&self, now: Instant) -> Option<Duration> {
        match self.keep {
            KeepAlive::Forever => None,
            KeepAlive::For(keep) if self.users > 0 => Some(keep),
            KeepAlive::For(keep) => Some(keep.saturating_sub(now.saturating_duration_since(self.used))),
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.shelf.state();
        if let Some(resident) = state.residents.iter_mut().find(|resident| resident.name == self.name) {
            // If a model was deleted and loaded again in the meantime, its users are others.
            resident.users = resident.users.saturating_sub(1);
            resident.used = now;
        }
        state.prune(now);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let before = self.0.waiting.fetch_sub(1, Relaxed);
        self.0.truth.waiting_changed(before - 1);
    }
}
