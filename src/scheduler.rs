//! One queue for all upstreams: which requests wait, and which request gets the next free slot.
//!
//! A request names its caller and what it wants. It waits only while no upstream that may have it has a free slot that fits
//! it. Whenever a slot becomes free, a request arrives, or the health, the models or the limit of an upstream change, the
//! dispatcher gives each free slot to the request whose turn it is: priority first, then weighted fair queueing
//! over slot time among callers. A client that disconnects drops the future that waits, and its request leaves the queue at
//! once.

mod config;
mod dispatcher;
mod families;
mod mean;
mod priority;
mod shared;
#[cfg(test)]
mod tests;
mod want;

use std::sync::{Arc, Weak};

use prometheus::Registry;
use tokio::time::Instant;

use crate::metric::Occupied;
use dispatcher::Ticket;
use families::Families;
use shared::{Arrived, Shared};

pub use config::{Config, FairBy};
#[doc(hidden)]
pub use dispatcher::{Candidate, Fleet, Free, Outlook, Terms};
pub(crate) use mean::Mean;
pub use priority::Priority;
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

/// Tells a scheduler that what is known of the upstreams has changed, as long as there is one.
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
    /// A scheduler for upstreams with these limits, of which `fleet` knows more.
    ///
    /// # Errors
    /// A name that `registry` has already.
    pub fn register(
        registry: &Registry,
        config: Config,
        limits: &[Option<usize>],
        fleet: Arc<dyn Fleet<Want> + Send + Sync>,
    ) -> prometheus::Result<Scheduler> {
        Ok(Scheduler { shared: Shared::new(config, limits, fleet, Families::register(registry)?) })
    }

    /// A scheduler with default settings and a registry of its own.
    #[cfg(test)]
    pub(crate) fn for_test(limits: &[Option<usize>], fleet: Arc<dyn Fleet<Want> + Send + Sync>) -> Scheduler {
        Scheduler::register(&Registry::new(), Config::default(), limits, fleet).unwrap()
    }

    /// Tells the scheduler of changes without keeping it.
    pub(crate) fn refresher(&self) -> Refresher {
        Refresher(Arc::downgrade(&self.shared))
    }

    /// A slot at an upstream, at once or after a wait. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// See [`NoSlot`].
    pub async fn enter(&self, caller: &str, terms: Terms, want: Want) -> Result<Slot, NoSlot> {
        let shared = &self.shared;
        if shared.is_unlimited(terms, &want) {
            return Ok(Slot::unlimited(shared.unlimited(&want)));
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
        match outcome {
            Some(Ok(slot)) => {
                wait.observe(since.elapsed().as_secs_f64());
                Ok(slot)
            }
            // Another caller's request has its place in the queue.
            Some(Err(_)) => Err(NoSlot::Full { wait: shared.mean_wait() }),
            None => Err(NoSlot::Late { wait: shared.mean_wait() }),
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
