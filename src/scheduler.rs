//! One queue for all upstreams: which requests wait, and which request gets the next free slot.
//!
//! A request names its caller and its wish. It waits only while none of its candidates, the upstreams that may serve
//! it, has a free slot. Whenever a slot becomes free, a request arrives, or the health, the models or the limit of an
//! upstream change, the dispatcher gives each free slot to the next request: priority decides first, then weighted fair
//! queueing over slot time among callers. If the client disconnects, the waiting future is dropped, and the request
//! leaves the queue at once.

mod auto;
mod config;
mod dispatcher;
mod families;
mod mean;
mod priority;
mod shared;
#[cfg(test)]
mod tests;
mod want;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use prometheus::Registry;
use tokio::time::Instant;

use crate::metric::Occupied;
use dispatcher::Ticket;
use families::Families;
use shared::{Arrived, Shared};

pub(crate) use auto::{START as FIRST_LIMIT, StreamCost};
pub use config::{Config, FairBy};
#[doc(hidden)]
pub use dispatcher::{Candidate, Fleet, Free, Outlook, Terms};
pub(crate) use mean::Mean;
pub use priority::Priority;
pub(crate) use shared::SlotCounts;
#[doc(hidden)]
pub use shared::{NoSlot, Slot};
#[doc(hidden)]
pub use want::Want;

/// The slots of all upstreams, and the requests that wait for one. Cheap to clone.
///
/// Public for the benchmarks, which measure the scheduler alone. A sidecar makes its own.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

/// Tells a scheduler that the state of an upstream has changed, as long as the scheduler exists.
#[derive(Clone, Debug)]
pub(crate) struct Refresher(Weak<Shared>);

impl Refresher {
    /// The health or the models of an upstream have changed.
    pub(crate) fn refresh(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.refresh();
        }
    }
}

impl Scheduler {
    /// Creates a scheduler for upstreams with these limits. `fleet` knows their state.
    ///
    /// # Errors
    /// `registry` already has the name of a metric.
    pub fn register(
        registry: &Registry,
        config: Config,
        limits: &[Option<usize>],
        fleet: Arc<dyn Fleet<Want> + Send + Sync>,
    ) -> prometheus::Result<Scheduler> {
        Ok(Scheduler { shared: Shared::new(config, limits, fleet, Families::register(registry)?) })
    }

    /// Creates a scheduler with default settings and its own registry.
    #[cfg(test)]
    pub(crate) fn for_test(limits: &[Option<usize>], fleet: Arc<dyn Fleet<Want> + Send + Sync>) -> Scheduler {
        Scheduler::with_config(Config::default(), limits, fleet)
    }

    /// Creates a scheduler with its own registry.
    #[cfg(test)]
    pub(crate) fn with_config(
        config: Config,
        limits: &[Option<usize>],
        fleet: Arc<dyn Fleet<Want> + Send + Sync>,
    ) -> Scheduler {
        Scheduler::register(&Registry::new(), config, limits, fleet).unwrap()
    }

    /// Finds the limit of an upstream from its streams, from now on. `name` is the value of the label `upstream`. No stream
    /// should get fewer than `floor` tokens per second.
    pub(crate) fn find_limit(&self, upstream: usize, name: &str, floor: Option<u32>) {
        self.shared.find_limit(upstream, name, floor);
    }

    /// Returns a handle that reports changes and does not keep the scheduler alive.
    pub(crate) fn refresher(&self) -> Refresher {
        Refresher(Arc::downgrade(&self.shared))
    }

    /// Limits the streams of a caller beside its terms; `None`: no such limit. Returns the number of its streams. From
    /// now on, none begins above the limit. Requests that wait for a limit that rises get their slots.
    pub(crate) fn cap(&self, caller: &str, cap: Option<usize>) -> usize {
        self.shared.cap(caller, cap)
    }

    /// Returns the waiting requests: the number of each ([`Want::id`]), its position from 1, and the time until it is
    /// expected to get a slot.
    pub(crate) fn line(&self) -> Vec<(u64, usize, Option<Duration>)> {
        self.shared.line()
    }

    /// Returns the slots of each upstream, and the number of waiting requests.
    pub(crate) fn counts(&self) -> (Vec<SlotCounts>, usize) {
        self.shared.counts()
    }

    /// Returns a slot at an upstream, at once or after a wait. If the future is dropped, the request leaves the queue.
    ///
    /// # Errors
    /// See [`NoSlot`].
    pub async fn enter(&self, caller: &str, terms: Terms, want: Want) -> Result<Slot, NoSlot> {
        let shared = &self.shared;
        if shared.is_unlimited(terms, &want) {
            return Ok(Slot::unlimited(shared, shared.unlimited(&want)));
        }
        let wait = shared.families.wait(terms.priority);
        let (granted, waiting) = match shared.arrive(caller, terms, want)? {
            Arrived::Served(slot) => {
                wait.observe(0.0);
                return Ok(slot);
            }
            Arrived::Waits(granted, ticket) => {
                let depth = Occupied::enter(shared.families.depth(terms.priority));
                (granted, Waiting { shared, ticket, _depth: depth })
            }
        };
        let since = Instant::now();
        let outcome = shared.attend(granted, since).await;
        drop(waiting);
        let waited = since.elapsed();
        match outcome {
            Some(Ok(slot)) => {
                wait.observe(waited.as_secs_f64());
                Ok(slot.after(waited))
            }
            // Another caller's request took its place in the queue.
            Some(Err(_)) => Err(NoSlot::Full { wait: shared.mean_wait(), waited }),
            None => Err(NoSlot::Late { wait: shared.mean_wait(), waited }),
        }
    }
}

/// A place in the queue, left when it is dropped.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    ticket: Ticket,
    _depth: Occupied,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.ticket);
    }
}
