//! Slots of the upstreams, and a fair, limited queue of requests that wait for one.
//!
//! Slots go to the callers in turn, so that a caller with a hundred waiting requests delays another caller's first
//! request by one. When the queue is full, the newest request of the busiest caller is refused. A request whose
//! client disconnects leaves the queue at once, since its future is dropped.

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
    /// The most requests that wait for one upstream; 0: none waits.
    pub size: usize,
    /// How long a request may wait.
    pub timeout: Duration,
    /// The fairness of the queue.
    pub fair_by: FairBy,
}

impl Default for Config {
    fn default() -> Config {
        Config { size: 128, timeout: Duration::from_secs(60), fair_by: FairBy::Caller }
    }
}

/// The fairness of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FairBy {
    /// Callers take turns.
    #[default]
    Caller,
    /// First come, first served.
    None,
}

/// Why a request got no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// The queue is full, and no other caller has at least two more requests in it.
    #[error("the queue is full")]
    Full {
        /// An estimate of the wait: the mean wait of earlier requests.
        wait: Duration,
    },
    /// No slot became free in time.
    #[error("no slot became free in time")]
    Late {
        /// An estimate of the wait, as above.
        wait: Duration,
    },
}

/// A request for a slot: where, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The position of the upstream, or [`Queue::cloud`].
    pub upstream: usize,
    /// The caller.
    pub caller: &'a str,
    /// The most slots that the caller may have at all upstreams together.
    pub max_streams: Option<usize>,
}

/// The slots of all upstreams and the queues for them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    lines: Mutex<Lines>,
    upstreams: Vec<Shown>,
    /// Requests to Ollama's cloud that wait for their caller's limit. Created at first use, since most sidecars
    /// have none.
    cloud: OnceLock<Shown>,
    depth: Family<Gauge, 1>,
    wait: Family<Histogram, 1>,
}

/// The metrics of one upstream's queue.
#[derive(Debug)]
struct Shown {
    is_bounded: bool,
    depth: Arc<Gauge>,
    wait: Arc<Histogram>,
}

impl Queue {
    /// Creates the queues of these upstreams, each with its name and its number of slots (`None`: no limit).
    ///
    /// # Errors
    /// A metric name that `registry` has already.
    pub(crate) fn register(
        registry: &Registry,
        config: Config,
        upstreams: &[(&str, Option<usize>)],
    ) -> prometheus::Result<Queue> {
        let depth = Family::register(
            registry,
            "queue_depth",
            "Requests that wait in the sidecar's queue for a slot of the upstream.",
            ["upstream"],
            gauge,
        )?;
        let wait = Family::register(
            registry,
            "queue_wait_seconds",
            "Time that requests waited in the sidecar's queue until they got a slot. The hidden queue inside Ollama is not part of it.",
            ["upstream"],
            || Histogram::new(buckets::PHASE),
        )?;
        let shown = |(name, places): &(&str, Option<usize>)| Shown {
            is_bounded: places.is_some(),
            depth: depth.child([name]),
            wait: wait.child([name]),
        };
        // The last line is that of the cloud, which has no limit of its own.
        let places = upstreams.iter().map(|(_, places)| *places).chain([None]);
        let lines = Mutex::new(Lines::new(places, config.fair_by));
        let upstreams = upstreams.iter().map(shown).collect();
        let cloud = OnceLock::new();
        Ok(Queue { shared: Arc::new(Shared { config, lines, upstreams, cloud, depth, wait }) })
    }

    /// The position for a [`Wish`] of a request that Ollama passes on to its cloud. It waits only for its caller's
    /// own limit.
    #[must_use]
    pub(crate) fn cloud(&self) -> usize {
        self.shared.upstreams.len()
    }

    /// Waits for a slot of an upstream. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// See [`NoSlot`].
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
        // If this future is dropped while its slot is granted, the slot is dropped too, and the next request gets
        // it.
        let outcome = tokio::time::timeout(shared.config.timeout, granted).await;
        drop(waiting);
        match outcome {
            Ok(Ok(place)) => {
                let wait = since.elapsed();
                shown.wait.observe(wait.as_secs_f64());
                shared.lines().waited(wish.upstream, wait);
                Ok(place)
            }
            // A request of another caller took its position in the queue.
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

/// A position in the queue, which is left on drop.
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

/// A slot of an upstream, which counts as a stream of its caller. Both are free again on drop.
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

    /// Frees the upstream's slot. The stream still counts for its caller.
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
            // If the request no longer waits, the slot comes back and goes to the next one.
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
