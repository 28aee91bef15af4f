//! Readers at the admin address, who get the generations that end while they read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use prometheus::IntCounter;
use tokio::sync::mpsc;

use super::stream::RecordedStream;

/// The most readers at once.
const MOST: usize = 4;
/// The most generations that wait for a reader. Further ones are dropped and counted.
const WAITING: usize = 256;

/// One reader. While a generation that it gets still runs, the generation holds it.
#[derive(Debug)]
pub(super) struct StreamFeed {
    ratio: f64,
    to: mpsc::Sender<Arc<RecordedStream>>,
    lost: Arc<AtomicU64>,
}

impl StreamFeed {
    /// Hands a generation to the reader. It never waits.
    pub(super) fn give(&self, stream: &Arc<RecordedStream>, dropped: &IntCounter) {
        // A reader that has gone has lost nothing.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.to.try_send(stream.clone()) {
            self.lost.fetch_add(1, Relaxed);
            dropped.inc();
        }
    }
}

/// The readers.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    feeds: Mutex<Vec<Arc<StreamFeed>>>,
    /// The largest share of the generations that a reader wants, as the bits of a number from 0 to 1.
    wanted: AtomicU64,
}

impl Feeds {
    /// Returns the readers that get a generation with this chance. It costs a look at one number if there are none.
    pub(super) fn of(&self, chance: f64) -> Vec<Arc<StreamFeed>> {
        if chance >= f64::from_bits(self.wanted.load(Relaxed)) {
            return Vec::new();
        }
        let feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.iter().filter(|feed| chance < feed.ratio).cloned().collect()
    }

    /// Whether there is no reader.
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.load(Relaxed) == 0
    }

    /// Adds a reader of a share of the generations. `None`: there are too many.
    pub(super) fn subscribe(self: &Arc<Self>, ratio: f64) -> Option<Subscription> {
        let (to, from) = mpsc::channel(WAITING);
        let feed = Arc::new(StreamFeed { ratio, to, lost: Arc::default() });
        let lost = feed.lost.clone();
        let is_added = self.change(|feeds| {
            let has_room = feeds.len() < MOST;
            if has_room {
                feeds.push(feed.clone());
            }
            has_room
        });
        is_added.then(|| Subscription { feeds: self.clone(), feed: Some(feed), from, lost })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<StreamFeed>>) -> T) -> T {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut feeds);
        let wanted = feeds.iter().map(|feed| feed.ratio).fold(0.0, f64::max);
        self.wanted.store(wanted.to_bits(), Relaxed);
        result
    }
}

/// The generations for one reader. Dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    feeds: Arc<Feeds>,
    feed: Option<Arc<StreamFeed>>,
    from: mpsc::Receiver<Arc<RecordedStream>>,
    lost: Arc<AtomicU64>,
}

impl Subscription {
    /// From now on, no generation is added. Those that run are still read.
    pub(crate) fn stop(&mut self) {
        if let Some(feed) = self.feed.take() {
            self.feeds.change(|feeds| feeds.retain(|other| !Arc::ptr_eq(other, &feed)));
        }
    }

    /// Returns the next generation that ended. `None`: after [`Subscription::stop`], all have ended.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<RecordedStream>>> {
        self.from.poll_recv(cx)
    }

    /// Returns the number of generations that the reader was too slow for.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stop();
    }
}
