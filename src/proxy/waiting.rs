//! Connections that wait for a request: when all are taken, those that have waited longest give way.

mod attended;

use std::{
    future::poll_fn,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

pub(super) use attended::Attended;

/// A client that has just connected is about to ask, and one that was just answered may ask again.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many give way at once at most, and so many are there at most beyond those that may be, until these have gone.
const MOST: usize = 32;
/// Between two looks of which the first found nobody: who is turned away shall cost little.
const PAUSE: Duration = Duration::from_millis(20);

/// What a connection is about, beside a time since which it waits.
const ASKS: u64 = 0;
const TOLD: u64 = u64::MAX;
const LEAVES: u64 = u64::MAX - 1;

/// Whether one connection waits for a request, and what tells it to give way.
#[derive(Debug)]
pub(super) struct Place {
    epoch: Instant,
    /// Milliseconds since `epoch` and 1, or one of the constants.
    state: AtomicU64,
    has_asked: AtomicBool,
    waker: AtomicWaker,
}

/// A request that runs. Dropped, its connection waits for the next.
#[derive(Debug)]
pub(super) struct Asked(Arc<Place>);

/// The places of all connections.
#[derive(Debug)]
pub(super) struct Places {
    epoch: Instant,
    all: Vec<Weak<Place>>,
    /// And when they were told.
    leaving: Vec<(Instant, Weak<Place>)>,
    /// Not before this is it worth while to look.
    next: Instant,
}

impl Place {
    /// A request begins.
    pub(super) fn ask(self: &Arc<Place>) -> Asked {
        self.state.store(ASKS, Relaxed);
        self.has_asked.store(true, Relaxed);
        Asked(self.clone())
    }

    /// Whether a request runs.
    pub(super) fn asks(&self) -> bool {
        self.state.load(Relaxed) == ASKS
    }

    /// Whether there ever was a request.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Relaxed)
    }

    /// Completes when the connection is to give way. Poll it after what begins and ends requests: then no request that has
    /// begun gives way, and its chunks pay for one load.
    pub(super) fn poll_told(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.asks() {
            return Poll::Pending;
        }
        self.waker.register(cx.waker());
        match self.state.compare_exchange(TOLD, LEAVES, Relaxed, Relaxed) {
            Ok(_) => Poll::Ready(()),
            Err(_) => Poll::Pending,
        }
    }

    /// The same, where there is no request yet.
    pub(super) async fn told(&self) {
        poll_fn(|cx| self.poll_told(cx)).await;
    }

    fn wait(&self) {
        let since = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(LEAVES);
        self.state.store((since + 1).min(LEAVES - 1), Relaxed);
    }

    fn leaves(&self) -> bool {
        matches!(self.state.load(Relaxed), TOLD | LEAVES)
    }

    /// Tells it, if it still waits since then.
    fn tell(&self, since: u64) -> bool {
        let told = self.state.compare_exchange(since, TOLD, Relaxed, Relaxed).is_ok();
        if told {
            self.waker.wake();
        }
        told
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.wait();
    }
}

impl Default for Places {
    fn default() -> Places {
        let epoch = Instant::now();
        Places { epoch, all: Vec::new(), leaving: Vec::new(), next: epoch }
    }
}

impl Places {
    /// For a connection that begins now; `open` are there already.
    pub(super) fn add(&mut self, open: usize) -> Arc<Place> {
        // Now and then, so that each connection pays for little of it.
        if self.all.len() > 2 * open + MOST {
            self.all.retain(|place| place.strong_count() > 0);
        }
        let place = Arc::new(Place {
            epoch: self.epoch,
            state: AtomicU64::new(ASKS),
            has_asked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        place.wait();
        self.all.push(Arc::downgrade(&place));
        place
    }

    /// Whether there is room for one more where, with it, there are `excess` too many: as many as those that are leaving,
    /// which are told to, if they are too few.
    pub(super) fn make_room(&mut self, excess: usize) -> bool {
        let now = Instant::now();
        // One whose client does not take the end of its answer does not go soon: another has to.
        self.leaving.retain(|(told, place)| {
            now - *told < PATIENCE && place.upgrade().is_some_and(|place| place.leaves())
        });
        if self.leaving.len() < excess && now >= self.next {
            self.tell(now);
        }
        excess <= self.leaving.len().min(MOST)
    }

    /// Tells an eighth of those that have waited long enough, at least one.
    fn tell(&mut self, now: Instant) {
        let latest = (now - self.epoch).checked_sub(PATIENCE).map_or(0, |latest| latest.as_millis() + 1);
        let latest = u64::try_from(latest).map_or(LEAVES - 1, |latest| latest.min(LEAVES - 1));
        let mut waiting: Vec<_> = self
            .all
            .iter()
            .filter_map(Weak::upgrade)
            .map(|place| (place.state.load(Relaxed), place))
            .filter(|(since, _)| (1..=latest).contains(since))
            .collect();
        waiting.sort_unstable_by_key(|(since, _)| *since);
        let most = waiting.len().div_ceil(8).min(MOST);
        let told = waiting.iter().take(most).filter(|(since, place)| place.tell(*since));
        self.leaving.extend(told.map(|(_, place)| (now, Arc::downgrade(place))));
        if most == 0 {
            self.next = now + PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_told(place: &Place) -> bool {
        place.told().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_gives_way_and_who_asks_does_not() {
        let mut places = Places::default();
        let asking = places.add(0);
        let request = asking.ask();
        let [first, second] = [places.add(1), places.add(2)];
        assert!(!places.make_room(1), "they have just come");
        tokio::time::advance(PATIENCE / 2).await;
        let third = places.add(3);
        drop(second.ask());
        tokio::time::advance(PATIENCE).await;
        assert!(places.make_room(1));
        assert_eq!(
            [&asking, &first, &second, &third].map(|place| is_told(place)),
            [false, true, false, false]
        );
        // It is still there, so this needs another.
        assert!(places.make_room(2));
        drop(request);
        assert!(is_told(&second) || is_told(&third));
        assert!(!is_told(&asking));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_first_stays_and_makes_no_room() {
        let mut places = Places::default();
        let place = places.add(0);
        tokio::time::advance(2 * PATIENCE).await;
        assert!(places.make_room(1));
        let _request = place.ask();
        assert!(!is_told(&place));
        assert!(!places.make_room(1));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_gone_are_forgotten() {
        let mut places = Places::default();
        for _ in 0..1000 {
            drop(places.add(1));
        }
        assert!(places.all.len() <= 3 + MOST, "{}", places.all.len());
        tokio::time::advance(2 * PATIENCE).await;
        assert!(!places.make_room(1));
    }

    /// `just miri` tries other orders, and would see a wake that is lost as a deadlock.
    #[test]
    fn one_that_is_told_by_another_thread_wakes() {
        let place = Places::default().add(0);
        let since = place.state.load(Relaxed);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(place.told());
            });
            threads.spawn(|| assert!(place.tell(since)));
        });
        assert!(place.leaves());
    }
}
