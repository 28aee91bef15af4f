//! Connections that wait for a request or linger after their last answer: when all are taken, these give way.

mod attended;

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

/// A client that has just connected is about to ask, and one that was just answered may ask again.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many give way at once at most, and so many are there at most beyond those that may be, until these have gone.
const MOST: usize = 32;
/// Between two looks of which the first found nobody: who is turned away shall cost little.
const PAUSE: Duration = Duration::from_millis(20);

/// What a connection is about, beside a time since which it waits. One that lingers has been answered: it sorts before
/// those that wait.
const ASKS: u64 = 0;
const LINGERS: u64 = 1;
const FIRST: u64 = 2;
const TOLD: u64 = u64::MAX;
const LEAVES: u64 = u64::MAX - 1;

/// Whether one connection waits for a request, and what tells it to give way.
#[derive(Debug)]
pub(crate) struct WaitingPlace {
    epoch: Instant,
    /// Milliseconds since `epoch` and `FIRST`, or one of the constants.
    state: AtomicU64,
    has_asked: AtomicBool,
    /// Of requests that run. That of a request can outlast its answer, and the next request may have begun then.
    halves: AtomicU64,
    /// When a head began that is not whole yet, as in `state`; 0: none did.
    head: AtomicU64,
    arrivals: Mutex<Arrivals>,
    /// The body of the request was given up before its end.
    unread: AtomicBool,
    /// What was answered is not written yet, for the client does not read.
    stuck: AtomicBool,
    vanished: AtomicBool,
    cut: AtomicBool,
    /// `waker` is that of the task.
    registered: AtomicBool,
    waker: AtomicWaker,
}

/// A half of a request that runs: its body, or its answer. When both are dropped its connection waits for the next.
#[derive(Debug)]
pub(crate) struct Asked(Arc<WaitingPlace>);

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// All connections are taken, and another one comes.
    GiveWay,
    /// Its client has vanished.
    Vanished,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// No byte of a request came.
    Idle,
    /// A head that had begun did not end.
    Head,
}

/// The places of all connections.
#[derive(Debug)]
pub(crate) struct Places {
    /// Those that have waited for less do not give way.
    patience: Duration,
    epoch: Instant,
    all: Vec<Weak<WaitingPlace>>,
    /// And when they were told.
    leaving: Vec<(Instant, Weak<WaitingPlace>)>,
    /// Not before this is it worth while to look.
    next: Instant,
}

impl WaitingPlace {
    /// A request begins, or its other half.
    pub(crate) fn ask(self: &Arc<WaitingPlace>) -> Asked {
        self.halves.fetch_add(1, SeqCst);
        self.state.store(ASKS, SeqCst);
        self.has_asked.store(true, Relaxed);
        self.head.store(0, Relaxed);
        Asked(self.clone())
    }

    /// Whether a request runs.
    pub(crate) fn asks(&self) -> bool {
        self.state.load(Relaxed) == ASKS
    }

    /// Whether there ever was a request.
    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked.load(Relaxed)
    }

    /// A byte of a head has come. True for the first one.
    pub(super) fn heard(&self) -> bool {
        let is_first = self.head.load(Relaxed) == 0;
        if is_first {
            self.head.store(self.now(), Relaxed);
        }
        is_first
    }

    /// A head has begun, and is no request yet.
    pub(super) fn is_in_head(&self) -> bool {
        !self.asks() && self.head.load(Relaxed) != 0
    }

    /// The client has sent this.
    pub(super) fn arrived(&self, bytes: &[u8]) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).read(bytes);
    }

    /// A request begins that has this body. True if its target has a fragment.
    pub(crate) fn begin(&self, body: &impl Body) -> bool {
        self.unread.store(false, Relaxed);
        let length = body.size_hint().exact();
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).begin(length)
    }

    /// Whether the body of the request was given up before its end: then the connection takes no other.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The client does not take what was answered, or has taken it after all: then it waits from now on.
    pub(super) fn stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Relaxed);
        if !stuck {
            let waits = |state| (FIRST..LEAVES).contains(&state).then(|| self.now());
            let _ = self.state.fetch_update(Relaxed, Relaxed, waits);
        }
    }

    /// What is awaited of the client, and since when; `None`: nothing is.
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

    /// Completes when the connection is told something. Poll it after what begins and ends requests: then no request that
    /// has begun gives way, and its chunks pay for four loads. The task that polls is the same for as long as the
    /// connection lives.
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

    /// The same, where there is no request yet, or no further one.
    pub(crate) async fn told(&self) -> Notice {
        poll_fn(|cx| self.poll_told(cx)).await
    }

    /// Tells it that its client has vanished.
    pub(super) fn vanish(&self) {
        self.vanished.store(true, Relaxed);
        self.wake();
    }

    /// The probes of TCP have found nobody: the connection ends with an error, of which hyper makes nothing.
    pub(super) fn missed(&self) {
        self.vanished.store(true, Relaxed);
    }

    /// Whether its client has vanished.
    pub(crate) fn has_vanished(&self) -> bool {
        self.vanished.load(Relaxed)
    }

    fn wake(&self) {
        // What is woken is no longer registered.
        self.registered.store(false, Relaxed);
        self.waker.wake();
    }

    /// The connection has had its last answer and closes: from now on it gives way before those that wait.
    pub(crate) fn linger(&self) {
        // One that was told to give way still is.
        let _ = self.state.fetch_update(Relaxed, Relaxed, |state| (state < LEAVES).then_some(LINGERS));
    }

    fn wait(&self) {
        self.state.store(self.now(), SeqCst);
    }

    /// As `state` has it.
    fn now(&self) -> u64 {
        let since = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(LEAVES);
        since.saturating_add(FIRST).min(LEAVES - 1)
    }

    fn leaves(&self) -> bool {
        matches!(self.state.load(Relaxed), TOLD | LEAVES)
    }

    /// Tells it, if it still waits since then.
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
        // A request that began in between has said so before this said the opposite.
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

    /// Those of a listener that has to answer whoever comes: a connection that waits gives way at once.
    pub(crate) fn impatient() -> Places {
        Places::of(Duration::ZERO)
    }

    /// For a connection that begins now; `open` are there already.
    pub(crate) fn add(&mut self, open: usize) -> Arc<WaitingPlace> {
        // Now and then, so that each connection pays for little of it.
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
            cut: AtomicBool::new(false),
            registered: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        place.wait();
        self.all.push(Arc::downgrade(&place));
        place
    }

    /// Whether there is room for one more where, with it, there are `excess` too many: as many as those that are leaving,
    /// which are told to, if they are too few.
    pub(crate) fn make_room(&mut self, excess: usize) -> bool {
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

    /// Tells an eighth of those that linger or have waited long enough, at least one.
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

    /// Cuts the oldest connection whose client does not take its answer. Whether there is one.
    pub(crate) fn cut_stuck(&mut self) -> bool {
        let mut all = self.all.iter().filter_map(Weak::upgrade);
        let stuck = all.find(|place| place.stuck.load(Relaxed) && !place.cut.swap(true, Relaxed));
        if let Some(place) = &stuck {
            place.wake();
        }
        stuck.is_some()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_told(place: &WaitingPlace) -> bool {
        place.told().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn longest_idle_connection_is_replaced_and_busy_one_is_not() {
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
    async fn request_that_arrives_first_keeps_its_connection() {
        let mut places = Places::default();
        let place = places.add(0);
        tokio::time::advance(2 * PATIENCE).await;
        assert!(places.make_room(1));
        let _request = place.ask();
        assert!(!is_told(&place));
        assert!(!places.make_room(1));
    }

    #[tokio::test(start_paused = true)]
    async fn lingering_connection_is_replaced_at_once_and_before_idle_ones() {
        let mut places = Places::default();
        let waiting = places.add(0);
        tokio::time::advance(2 * PATIENCE).await;
        let lingering = places.add(1);
        drop(lingering.ask());
        lingering.linger();
        assert!(places.make_room(1));
        assert!(is_told(&lingering) && !is_told(&waiting));
        // To linger does not undo that it was told.
        lingering.linger();
        assert!(lingering.leaves());
    }

    #[tokio::test(start_paused = true)]
    async fn request_runs_until_its_body_and_response_have_ended() {
        let place = Places::default().add(0);
        let (body, answer) = (place.ask(), place.ask());
        drop(answer);
        assert!(place.asks());
        let next = place.ask();
        drop(body);
        assert!(place.asks(), "the next one runs");
        drop(next);
        assert!(!place.asks());
    }

    #[tokio::test(start_paused = true)]
    async fn closed_connections_are_forgotten() {
        let mut places = Places::default();
        for _ in 0..1000 {
            drop(places.add(1));
        }
        assert!(places.all.len() <= 3 + MOST, "{}", places.all.len());
        tokio::time::advance(2 * PATIENCE).await;
        assert!(!places.make_room(1));
    }

    #[tokio::test(start_paused = true)]
    async fn running_request_is_notified_that_its_client_has_vanished() {
        let place = Places::default().add(0);
        let _asked = place.ask();
        let watched = place.clone();
        let told = tokio::spawn(async move { watched.told().await });
        tokio::task::yield_now().await;
        assert!(!told.is_finished());
        place.vanish();
        assert_eq!(told.await.unwrap(), Notice::Vanished);
    }

    /// `just miri` tries other orders, and would see a wake that is lost as a deadlock.
    #[test]
    fn waiting_connection_is_woken_from_another_thread() {
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
