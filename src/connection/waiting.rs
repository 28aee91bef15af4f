//! Tracks which connections wait for a request or linger after their last response. When all connections are taken,
//! these give way to new ones.

mod attended;
#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use http_body::Body;
use tokio::time::Instant;

pub(crate) use attended::Attended;

use super::arrivals::Arrivals;

/// How long a connection may wait before it can be told to give way. A client that has just connected or was just
/// answered is likely to send a request.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most connections that give way at once, and the most that may be open beyond the limit until these have
/// gone.
const MOST: usize = 32;
/// The pause after a search that found no connection, so that refusing a client costs little.
const PAUSE: Duration = Duration::from_millis(20);

/// The states of a connection besides the time since which it waits. A lingering connection has been answered, so
/// that it sorts before those that wait.
const ASKS: u64 = 0;
const LINGERS: u64 = 1;
const FIRST: u64 = 2;
const TOLD: u64 = u64::MAX;
const LEAVES: u64 = u64::MAX - 1;

/// The state of one connection: whether it waits for a request, and whether it is told to give way.
#[derive(Debug)]
pub(crate) struct WaitingPlace {
    epoch: Instant,
    /// The milliseconds since `epoch` plus `FIRST`, or one of the constants.
    state: AtomicU64,
    has_asked: AtomicBool,
    /// The halves of running requests. The body of a request can outlast its response, so that the next request may
    /// have begun already.
    halves: AtomicU64,
    /// When an incomplete head began, as in `state`; 0: no head has begun.
    head: AtomicU64,
    arrivals: Mutex<Arrivals>,
    /// The body of the request was dropped before its end.
    unread: AtomicBool,
    /// The response is not written completely, since the client does not read.
    stuck: AtomicBool,
    vanished: AtomicBool,
    /// The client stopped reading a response that held a slot.
    stalled: AtomicBool,
    /// Lives as long as the response holds a slot.
    slot: Mutex<Weak<()>>,
    cut: AtomicBool,
    draining: AtomicBool,
    /// Whether `waker` is the waker of the connection's task.
    registered: AtomicBool,
    waker: AtomicWaker,
}

/// One half of a running request: its body or its response. When both are dropped, the connection waits for the
/// next request.
#[derive(Debug)]
pub(crate) struct Asked(Arc<WaitingPlace>);

/// A message to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// All connections are taken, and a new one has come.
    GiveWay,
    /// The client of this connection has vanished.
    Vanished,
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// No byte of a request came.
    Idle,
    /// The head began and did not end.
    Head,
}

/// The places of all connections of a listener.
#[derive(Debug)]
pub(crate) struct Places {
    /// Connections that have waited for less than this do not give way.
    patience: Duration,
    epoch: Instant,
    all: Vec<Weak<WaitingPlace>>,
    /// The connections that were told to give way, and when.
    leaving: Vec<(Instant, Weak<WaitingPlace>)>,
    /// The earliest time of the next search.
    next: Instant,
}

impl WaitingPlace {
    /// Begins a request, or the other half of it.
    pub(crate) fn ask(self: &Arc<WaitingPlace>) -> Asked {
        self.halves.fetch_add(1, SeqCst);
        self.state.store(ASKS, SeqCst);
        self.has_asked.store(true, Relaxed);
        self.head.store(0, Relaxed);
        Asked(self.clone())
    }

    /// The response holds a slot as long as `token` lives.
    pub(crate) fn hold(&self, token: Weak<()>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Whether the response holds a slot.
    pub(crate) fn holds_slot(&self) -> bool {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
    }

    /// Notes that the client stopped reading a response that held a slot.
    pub(crate) fn stall(&self) {
        self.stalled.store(true, Relaxed);
    }

    /// Whether [`WaitingPlace::stall`] was called.
    pub(crate) fn has_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// Whether a request runs.
    pub(crate) fn asks(&self) -> bool {
        self.state.load(Relaxed) == ASKS
    }

    /// Whether there was a request before.
    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked.load(Relaxed)
    }

    /// Notes a byte of a head. Returns true for the first one.
    pub(super) fn heard(&self) -> bool {
        let is_first = self.head.load(Relaxed) == 0;
        if is_first {
            self.head.store(self.now(), Relaxed);
        }
        is_first
    }

    /// Whether a head has begun and its request has not.
    pub(super) fn is_in_head(&self) -> bool {
        !self.asks() && self.head.load(Relaxed) != 0
    }

    /// Notes bytes that the client has sent.
    pub(super) fn arrived(&self, bytes: &[u8]) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).read(bytes);
    }

    /// Begins a request with this body. Returns true if the target of the request has a fragment.
    pub(crate) fn begin(&self, body: &impl Body) -> bool {
        self.unread.store(false, Relaxed);
        let length = body.size_hint().exact();
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).begin(length)
    }

    /// Whether the body of the request was dropped before its end. Then the connection can take no further request.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Notes that the client does not read the response, or that it has read it after all. In the latter case the
    /// connection waits from now on.
    pub(super) fn stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Relaxed);
        if !stuck {
            let waits = |state| (FIRST..LEAVES).contains(&state).then(|| self.now());
            let _ = self.state.fetch_update(Relaxed, Relaxed, waits);
        }
    }

    /// The part of a request that the client must send next, and since when; `None`: nothing.
    pub(super) fn awaits(&self) -> Option<(Instant, Late)> {
        let state = self.state.load(Relaxed);
        if !(FIRST..LEAVES).contains(&state) || self.stuck.load(Relaxed) {
            return None;
        }
        let (since, late) = match self.head.load(Relaxed) {
            0 => (state, Late::Idle),
            began => (began, Late::Head),
        };
        Some((self.epoch + Duration::from_millis(since - FIRST), late))
    }

    /// Completes when the connection is told something. Poll it after the futures that begin and end requests, so
    /// that a connection with a request does not give way. It costs four loads for each chunk. The task that polls
    /// must stay the same as long as the connection lives.
    pub(crate) fn poll_told(&self, cx: &mut Context<'_>) -> Poll<Notice> {
        let asks = self.asks();
        if !asks || !self.registered.load(Relaxed) {
            self.registered.store(true, Relaxed);
            self.waker.register(cx.waker());
        }
        if self.vanished.load(Relaxed) {
            return Poll::Ready(Notice::Vanished);
        }
        if self.cut.load(Relaxed) {
            return Poll::Ready(Notice::GiveWay);
        }
        if !asks && self.state.compare_exchange(TOLD, LEAVES, Relaxed, Relaxed).is_ok() {
            return Poll::Ready(Notice::GiveWay);
        }
        Poll::Pending
    }

    /// The same as a future, for when there is no request yet or no further one.
    pub(crate) async fn told(&self) -> Notice {
        poll_fn(|cx| self.poll_told(cx)).await
    }

    /// Tells the connection that its client has vanished.
    pub(super) fn vanish(&self) {
        self.vanished.store(true, Relaxed);
        self.wake();
    }

    /// Notes that TCP keep-alive probes found no client. The connection ends with an error, which hyper does not
    /// report.
    pub(super) fn missed(&self) {
        self.vanished.store(true, Relaxed);
    }

    /// Whether the client has vanished.
    pub(crate) fn has_vanished(&self) -> bool {
        self.vanished.load(Relaxed)
    }

    /// Whether the listener takes no more connections. [`WaitingPlace::poll_told`] registers the task that is woken
    /// then. One flag for each connection costs a chunk one load. A token that all connections share costs two locks,
    /// which the workers take from each other.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    fn wake(&self) {
        // A woken waker is no longer registered.
        self.registered.store(false, Relaxed);
        self.waker.wake();
    }

    /// Notes that the connection sent its last response and closes. From now on it gives way before those that
    /// wait.
    pub(crate) fn linger(&self) {
        // A connection that was told to give way stays so.
        let _ = self.state.fetch_update(Relaxed, Relaxed, |state| (state < LEAVES).then_some(LINGERS));
    }

    fn wait(&self) {
        self.state.store(self.now(), SeqCst);
    }

    /// The present time as in `state`.
    fn now(&self) -> u64 {
        let since = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(LEAVES);
        since.saturating_add(FIRST).min(LEAVES - 1)
    }

    fn leaves(&self) -> bool {
        matches!(self.state.load(Relaxed), TOLD | LEAVES)
    }

    /// Tells the connection to give way, if it has waited since `since` without a request.
    fn tell(&self, since: u64) -> bool {
        let told = self.state.compare_exchange(since, TOLD, Relaxed, Relaxed).is_ok();
        if told {
            self.wake();
        }
        told
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let place = &self.0;
        if place.halves.fetch_sub(1, SeqCst) > 1 {
            return;
        }
        place.wait();
        // A request that began in between set its state before `wait` overwrote it.
        if place.halves.load(SeqCst) > 0 {
            place.state.store(ASKS, SeqCst);
        }
    }
}

impl Default for Places {
    fn default() -> Places {
        Places::of(PATIENCE)
    }
}

impl Places {
    fn of(patience: Duration) -> Places {
        let epoch = Instant::now();
        Places { patience, epoch, all: Vec::new(), leaving: Vec::new(), next: epoch }
    }

    /// The places of a listener that must accept everyone: a waiting connection gives way at once.
    pub(crate) fn impatient() -> Places {
        Places::of(Duration::ZERO)
    }

    /// Adds a place for a new connection. `open` is the number of those that are open already.
    pub(crate) fn add(&mut self, open: usize) -> Arc<WaitingPlace> {
        // Removes closed connections only sometimes, so that each new connection pays little for it.
        if self.all.len() > 2 * open + MOST {
            self.all.retain(|place| place.strong_count() > 0);
        }
        let place = Arc::new(WaitingPlace {
            epoch: self.epoch,
            state: AtomicU64::new(ASKS),
            has_asked: AtomicBool::new(false),
            halves: AtomicU64::new(0),
            head: AtomicU64::new(0),
            arrivals: Mutex::default(),
            unread: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            vanished: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            slot: Mutex::default(),
            cut: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            registered: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        place.wait();
        self.all.push(Arc::downgrade(&place));
        place
    }

    /// Whether there is room for a new connection, with which there are `excess` too many. Tells further
    /// connections to give way if too few are leaving.
    pub(crate) fn make_room(&mut self, excess: usize) -> bool {
        let now = Instant::now();
        // A connection whose client does not read the end of its response does not close soon, so that another one
        // has to give way.
        self.leaving.retain(|(told, place)| {
            now - *told < PATIENCE && place.upgrade().is_some_and(|place| place.leaves())
        });
        if self.leaving.len() < excess && now >= self.next {
            self.tell(now);
        }
        excess <= self.leaving.len().min(MOST)
    }

    /// Tells one connection in eight to give way, at least one, of those that linger or have waited long enough.
    fn tell(&mut self, now: Instant) {
        let latest = (now - self.epoch)
            .checked_sub(self.patience)
            .map_or(u128::from(LINGERS), |latest| latest.as_millis() + u128::from(FIRST));
        let latest = u64::try_from(latest).map_or(LEAVES - 1, |latest| latest.min(LEAVES - 1));
        let mut waiting: Vec<_> = self
            .all
            .iter()
            .filter_map(Weak::upgrade)
            .map(|place| (place.state.load(Relaxed), place))
            .filter(|(since, _)| (LINGERS..=latest).contains(since))
            .collect();
        waiting.sort_unstable_by_key(|(since, _)| *since);
        let most = waiting.len().div_ceil(8).min(MOST);
        let told = waiting.iter().take(most).filter(|(since, place)| place.tell(*since));
        self.leaving.extend(told.map(|(_, place)| (now, Arc::downgrade(place))));
        if most == 0 {
            self.next = now + PAUSE.min(self.patience);
        }
    }

    /// Tells all connections that the listener takes no more of them.
    pub(crate) fn drain(&self) {
        for place in self.all.iter().filter_map(Weak::upgrade) {
            place.draining.store(true, Relaxed);
            place.wake();
        }
    }

    /// Cuts the oldest connection whose client does not read its response. Returns whether there was one.
    pub(crate) fn cut_stuck(&mut self) -> bool {
        let mut all = self.all.iter().filter_map(Weak::upgrade);
        let stuck = all.find(|place| place.stuck.load(Relaxed) && !place.cut.swap(true, Relaxed));
        if let Some(place) = &stuck {
            place.wake();
        }
        stuck.is_some()
    }
}
