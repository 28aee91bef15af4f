//! Decides whether an upstream is wedged, by comparing its silence with the silences that are usual for the requests
//! in progress there.
//!
//! The silence before a tool call can be as long as its generation, and a response that is not a stream is silent
//! until its end. A silence is therefore compared with earlier silences of requests of the same kind that were
//! answered.

#[cfg(test)]
mod tests;

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::protocol::{Dialect, Peek, Route};

/// A shorter silence is never too long.
const LEAST: Duration = Duration::from_secs(60);
/// The same if nothing is known of the kind, and for silences that may be work and count as proof. A large model may
/// load for minutes.
const LEAST_UNKNOWN: Duration = Duration::from_secs(300);
/// A silence is too long if it is more than this many times the usual one.
const TIMES: u32 = 3;
/// The fewest bytes of a prompt that Ollama is assumed to read per second.
const SLOWEST_PROMPT: u64 = 200;
/// A shorter silence lowers the usual one by this part of the difference.
const DECAY: u64 = 16;
/// Combinations of the route, streamed or not, constrained or not, begun or not.
const CELLS: usize = Route::ALL.len() * 8;

/// The kind of a request. Requests of one kind have the same usual silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestKind {
    pub(super) route: Route,
    /// Whether its response is a stream.
    pub(super) streamed: bool,
    /// Whether it offers tools or sets a format.
    pub(super) constrained: bool,
}

impl RequestKind {
    /// Returns the kind of a request whose body is not read yet.
    pub(super) fn unread(route: Route) -> RequestKind {
        RequestKind::of(route, &Peek::default())
    }

    /// Returns the kind from the request's body. A missing property counts as the one that allows the longer silence.
    pub(super) fn of(route: Route, peek: &Peek) -> RequestKind {
        let streamed = peek.stream.unwrap_or(route.dialect() == Dialect::Ollama) && route.may_stream();
        RequestKind { route, streamed, constrained: peek.constrained.unwrap_or(true) }
    }

    fn cell(self, begun: bool) -> usize {
        let flags = usize::from(self.streamed) << 2 | usize::from(self.constrained) << 1 | usize::from(begun);
        self.route.index() * 8 + flags
    }
}

/// A running request whose next chunk has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub(super) kind: RequestKind,
    /// Whether its response has begun.
    pub(super) begun: bool,
    /// The time since its newest chunk, or since it was sent.
    pub(super) length: Duration,
    /// The bytes of its prompt.
    pub(super) prompt_bytes: u64,
}

impl Silence {
    /// Whether it had begun to send tokens, so that no work of Ollama explains the silence.
    fn is_broken_off(&self) -> bool {
        self.begun && self.kind.streamed && !self.kind.constrained
    }

    /// The time that Ollama may need to read its prompt, in addition to what is usual.
    fn prompt(&self) -> Duration {
        Duration::from_secs(if self.begun { 0 } else { self.prompt_bytes / SLOWEST_PROMPT })
    }
}

/// The silences at one upstream that were followed by an answer. Its size is fixed.
#[derive(Debug)]
pub(super) struct History {
    made: Instant,
    /// Nanoseconds, by [`RequestKind::cell`]. 0: none was seen.
    usual: [AtomicU64; CELLS],
    /// The newest chunk of all ended streams, in nanoseconds after `made`. 0: none.
    newest: AtomicU64,
}

impl History {
    pub(super) fn new(made: Instant) -> History {
        History { made, usual: [const { AtomicU64::new(0) }; CELLS], newest: AtomicU64::new(0) }
    }

    /// Notes a silence of this length that was followed by an answer.
    pub(super) fn ended(&self, silence: Silence) {
        let length = nanos(silence.length);
        let fold = |usual: u64| Some(length.max(usual - usual.saturating_sub(length) / DECAY));
        // The closure always returns a value, so this cannot fail.
        let _ = self.usual[silence.kind.cell(silence.begun)].fetch_update(Relaxed, Relaxed, fold);
    }

    /// Notes the end of a stream whose newest chunk came at this time.
    pub(super) fn heard(&self, chunk: Instant) {
        self.newest.fetch_max(nanos(chunk.saturating_duration_since(self.made)), Relaxed);
    }

    /// Returns the time since the newest chunk of all ended streams.
    pub(super) fn since_heard(&self, now: Instant) -> Option<Duration> {
        let newest = Some(self.newest.load(Relaxed)).filter(|newest| *newest > 0)?;
        Some(now.saturating_duration_since(self.made + Duration::from_nanos(newest)))
    }

    /// Returns the silence of the upstream, divided by the longest silence that is usual for the requests in progress
    /// there. Above 1 the upstream is wedged. It stays below 1 without a proof: either a stream that was sending
    /// tokens, or two requests whose silence may be work and is far longer than usual for their kinds.
    pub(super) fn ratio(&self, running: &[Silence], now: Instant) -> f64 {
        let heard = self.since_heard(now);
        let since_chunk = running.iter().filter(|one| one.begun).map(|one| one.length);
        let Some(oldest) = running.iter().map(|one| one.length).max() else { return 0.0 };
        let silence = since_chunk.chain(heard).fold(oldest, Duration::min);
        let patience = running.iter().map(|one| self.patience(one)).fold(LEAST, Duration::max);
        (silence.as_secs_f64() / patience.as_secs_f64()).min(self.proof(running))
    }

    /// Returns the silence that a request may have.
    fn patience(&self, silence: &Silence) -> Duration {
        let patience = match self.usual(silence) {
            Some(usual) => LEAST.max(usual * TIMES),
            None if silence.is_broken_off() => LEAST,
            None => LEAST_UNKNOWN,
        };
        patience.saturating_add(silence.prompt())
    }

    fn proof(&self, running: &[Silence]) -> f64 {
        let (mut broken_off, mut quietest, mut second) = (0.0_f64, 0.0_f64, 0.0_f64);
        for one in running {
            let beyond = |patience: Duration| one.length.as_secs_f64() / patience.as_secs_f64();
            if one.is_broken_off() {
                broken_off = broken_off.max(beyond(self.patience(one)));
            } else if let Some(usual) = self.usual(one) {
                let beyond = beyond(LEAST_UNKNOWN.max(usual * TIMES).saturating_add(one.prompt()));
                (quietest, second) = (quietest.max(beyond), second.max(quietest.min(beyond)));
            }
        }
        broken_off.max(second)
    }

    fn usual(&self, silence: &Silence) -> Option<Duration> {
        match self.usual[silence.kind.cell(silence.begun)].load(Relaxed) {
            0 => None,
            usual => Some(Duration::from_nanos(usual)),
        }
    }
}

/// The longest silences of one stream so far, local to it.
#[derive(Debug, Default)]
pub(super) struct Longest {
    before: Option<Duration>,
    within: Option<Duration>,
}

impl Longest {
    /// Notes a chunk for which the sidecar waited: `wait` after the one before. The first one counts from the time at
    /// which the request was sent.
    pub(super) fn chunk(&mut self, wait: Option<Duration>, since_sent: Duration) {
        match wait {
            Some(wait) => self.within = self.within.max(Some(wait)),
            None => self.before = Some(since_sent),
        }
    }

    /// Adds the silences of a stream that ended without an error.
    pub(super) fn tell(&self, kind: RequestKind, history: &History) {
        for (begun, length) in [(false, self.before), (true, self.within)] {
            if let Some(length) = length {
                history.ended(Silence { kind, begun, length, prompt_bytes: 0 });
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    // The limit leaves room for the multiplication by three.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).clamp(1, u64::MAX / 8)
}
