//! Places at upstreams, and a fair, bounded queue for those who wait for one.
//!
//! A caller who has a hundred waiting delays another's first by one: places go round the callers, and of a full
//! queue one of the hundred is turned away for it. Whoever hangs up drops the future that waits, and is out of the
//! queue at once.

mod line;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use prometheus::{Gauge, Registry};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    metric::{Family, Histogram, Occupied, buckets, gauge},
    protocol::CLOUD,
};
use line::{Lines, Waiter};

/// Settings of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many may wait for one upstream; 0: none.
    pub size: usize,
    /// How long one may wait.
    pub timeout: Duration,
    /// Between whom it is fair.
    pub fair_by: FairBy,
}

impl Default for Config {
    fn default() -> Config {
        Config { size: 128, timeout: Duration::from_secs(60), fair_by: FairBy::Caller }
    }
}

/// Between whom a queue is fair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FairBy {
    /// Callers take turns.
    #[default]
    Caller,
    /// Who came first goes first.
    None,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// As many wait as may, and no other caller has more of them by two.
    #[error("the queue is full")]
    Full {
        /// How long those before it waited, more or less.
        wait: Duration,
    },
    /// None came free in time.
    #[error("no slot became free in time")]
    Late {
        /// As above.
        wait: Duration,
    },
}

/// Who wants a place, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The upstream, by its position; or [`Queue::cloud`].
    pub upstream: usize,
    /// Who asks.
    pub caller: &'a str,
    /// How many places the caller may have at all upstreams together.
    pub max_streams: Option<usize>,
}

/// The places of all upstreams. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    lines: Mutex<Lines>,
    upstreams: Vec<Shown>,
    /// Of those who may send no more to Ollama's cloud for now. Most never ask it.
    cloud: OnceLock<Shown>,
    depth: Family<Gauge, 1>,
    wait: Family<Histogram, 1>,
}

/// What is shown of one upstream's queue.
#[derive(Debug)]
struct Shown {
    is_bounded: bool,
    depth: Arc<Gauge>,
    wait: Arc<Histogram>,
}

impl Queue {
    /// Queues for upstreams, each with its name and how many streams it takes at once (`None`: no bound).
    ///
    /// # Errors
    /// A name that `registry` has already.
    pub(crate) fn register(
        registry: &Registry,
        config: Config,
        upstreams: &[(&str, Option<usize>)],
    ) -> prometheus::Result<Queue> {
        let depth = Family::register(
            registry,
            "queue_depth",
            "Requests that wait here for a place at the upstream.",
            ["upstream"],
            gauge,
        )?;
        let wait = Family::register(
            registry,
            "queue_wait_seconds",
            "Time in this queue of those who got a place; Ollama's own queue comes after it.",
            ["upstream"],
            || Histogram::new(buckets::PHASE),
        )?;
        let shown = |(name, places): &(&str, Option<usize>)| Shown {
            is_bounded: places.is_some(),
            depth: depth.child([name]),
            wait: wait.child([name]),
        };
        // The last line is that of the cloud, which has room for all.
        let places = upstreams.iter().map(|(_, places)| *places).chain([None]);
        let lines = Mutex::new(Lines::new(places, config.fair_by));
        let upstreams = upstreams.iter().map(shown).collect();
        let cloud = OnceLock::new();
        Ok(Queue { shared: Arc::new(Shared { config, lines, upstreams, cloud, depth, wait }) })
    }

    /// The upstream of a [`Wish`] for a request that Ollama passes on to its cloud: it waits for its caller's own limit
    /// alone.
    #[must_use]
    pub(crate) fn cloud(&self) -> usize {
        self.shared.upstreams.len()
    }

    /// A place at an upstream, at once or after a wait. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// See [`NoPlace`].
    pub(crate) async fn enter(&self, wish: Wish<'_>) -> Result<Place, NoPlace> {
        let shared = &self.shared;
        let known = shared.upstreams.get(wish.upstream);
        if wish.max_streams.is_none() && known.is_none_or(|shown| !shown.is_bounded) {
            return Ok(Place { held: None });
        }
        let shown = known.unwrap_or_else(|| shared.cloud());
        let (granted, waiting) = {
            let mut lines = shared.lines();
            if lines.take(wish) {
                shown.wait.observe(0.0);
                return Ok(Place::new(shared.clone(), wish));
            }
            if lines.waiting(wish.upstream) >= shared.config.size && !lines.make_room(wish) {
                return Err(NoPlace::Full { wait: lines.mean_wait(wish.upstream) });
            }
            let (grant, granted) = oneshot::channel();
            let number = lines.wait(wish, grant);
            let depth = Occupied::enter(shown.depth.clone());
            (granted, Waiting { shared, upstream: wish.upstream, number, _depth: depth })
        };
        let since = Instant::now();
        // A place that is granted just as this future is dropped is dropped with it, and so goes to the next one.
        let outcome = tokio::time::timeout(shared.config.timeout, granted).await;
        drop(waiting);
        match outcome {
            Ok(Ok(place)) => {
                let wait = since.elapsed();
                shown.wait.observe(wait.as_secs_f64());
                shared.lines().waited(wish.upstream, wait);
                Ok(place)
            }
            // Another caller got its place in the line.
            Ok(Err(_)) => Err(NoPlace::Full { wait: shared.lines().mean_wait(wish.upstream) }),
            Err(_) => Err(NoPlace::Late { wait: shared.lines().mean_wait(wish.upstream) }),
        }
    }
}

impl Shared {
    fn cloud(&self) -> &Shown {
        self.cloud.get_or_init(|| Shown {
            is_bounded: false,
            depth: self.depth.child([CLOUD]),
            wait: self.wait.child([CLOUD]),
        })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, left when it is dropped.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    upstream: usize,
    number: u64,
    _depth: Occupied,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.lines().leave(self.upstream, self.number);
    }
}

/// A place at an upstream, and a stream of its caller's; both are free again when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Place {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    upstream: Option<usize>,
    caller: Box<str>,
}

impl Place {
    fn new(shared: Arc<Shared>, wish: Wish<'_>) -> Place {
        Place { held: Some(Held { shared, upstream: Some(wish.upstream), caller: wish.caller.into() }) }
    }

    /// The upstream is done, and its place free; the caller's stream goes on.
    pub(super) fn leave(&mut self) {
        if let Some(held) = &mut self.held
            && let Some(upstream) = held.upstream.take()
        {
            let granted = held.shared.lines().free(upstream);
            held.hand_over(granted);
        }
    }
}

impl Held {
    fn hand_over(&self, granted: Vec<(Waiter, usize)>) {
        for (Waiter { caller, max_streams, grant, .. }, upstream) in granted {
            let place = Place::new(self.shared.clone(), Wish { upstream, caller: &caller, max_streams });
            // If nobody waits any more the place comes back, and goes to the next one.
            drop(grant.send(place));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let granted = {
            let mut lines = self.shared.lines();
            let mut granted = lines.release(&self.caller);
            granted.extend(self.upstream.into_iter().flat_map(|upstream| lines.free(upstream)));
            granted
        };
        self.hand_over(granted);
    }
}
