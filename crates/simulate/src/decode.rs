//! The schedule of one answer: when its next token is due.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::faults::{Fate, Fault};
use super::seed::Seed;
use super::shelf::Seat;
use super::truth::Truth;
use super::version::OllamaVersion;

/// The duration that llama-server reports for a single token, which took no time: one microsecond.
const ONE_TOKEN: Duration = Duration::from_micros(1);
/// The share of a stream's time that 0.12 leaves out of `eval_duration` if the stream decodes alone: sampling.
const SAMPLING: f64 = 0.06;
/// The further share for each concurrent stream: the wait for the batch.
const BATCHING: f64 = 0.033;

/// The speed of the tokens, and the version whose durations are reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) version: OllamaVersion,
    /// Seconds between two tokens of a stream that decodes alone.
    pub(super) interval: f64,
    pub(super) contention: f64,
    pub(super) congestion: f64,
    pub(super) jitter: f64,
}

/// The number of tokens of an answer, and the first token that is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub(super) all: u32,
    pub(super) counted_from: u32,
}

/// The next step of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Token(u32),
    /// The answer breaks off here.
    Cut(Fault),
    End,
}

/// An answer that is being generated. Tokens follow an absolute schedule, so a late wake-up delays one token and not
/// the tokens after it. It holds the slot. If it is dropped before its end, it counts as cancelled.
#[derive(Debug)]
pub(super) struct Decode {
    pace: Pace,
    seed: Seed,
    next: u32,
    tokens: u32,
    /// The first token that `eval_duration` includes.
    counted_from: u32,
    first: Option<Instant>,
    last: Option<Instant>,
    /// The time of the intervals so far, as 0.12 counts it.
    computed: Duration,
    cut: Option<(u32, Fault)>,
    stall: Option<(u32, Duration)>,
    due: Instant,
    sleep: Pin<Box<Sleep>>,
    asleep: bool,
    /// `None` in the cloud, and after the answer has ended.
    busy: Option<(Seat, Decoding)>,
    local: bool,
    outcome: Outcome,
}

/// Counts a stream as decoding while this value exists.
#[derive(Debug)]
struct Decoding(Arc<Truth>);

/// Counts the result of a request to generate. If it is dropped without a result, the client has left.
#[derive(Debug)]
pub(super) struct Outcome {
    truth: Arc<Truth>,
    settled: bool,
}

impl Pace {
    /// Returns the interval before the token at `place`, if so many streams decode.
    fn interval(&self, streams: u64, seed: Seed, place: u32) -> Duration {
        if self.interval <= 0.0 {
            return Duration::ZERO;
        }
        let others = streams.saturating_sub(1) as f64;
        let jitter = 1.0 + self.jitter * (2.0 * seed.unit(u64::from(place)) - 1.0);
        let crowd = self.contention * others + self.congestion * others * (others + 1.0);
        let seconds = self.interval * (1.0 + crowd) * jitter;
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }

    /// Returns the share of an interval that 0.12 counts, if so many streams decode.
    fn computed_share(&self, streams: u64) -> f64 {
        (1.0 - SAMPLING - BATCHING * streams.saturating_sub(1) as f64).max(0.5)
    }
}

/// Returns the seconds per item at a rate per second. A rate of zero or infinity takes no time.
pub(super) fn seconds_each(rate: f64) -> f64 {
    if rate > 0.0 { rate.recip() } else { 0.0 }
}

impl Decode {
    /// Starts an answer. Its first token is due at once. Without a seat it runs in the cloud, and no other stream
    /// slows it down.
    pub(super) fn start(
        pace: Pace,
        seed: Seed,
        tokens: Tokens,
        fate: &Fate,
        seat: Option<Seat>,
        outcome: Outcome,
    ) -> Self {
        let Tokens { all: tokens, counted_from } = tokens;
        let middle = |place: u64| 1 + (seed.child(place).at(0) % u64::from(tokens.max(2) - 1)) as u32;
        let due = Instant::now();
        let truth = &outcome.truth;
        truth.stream_started();
        let local = seat.is_some();
        Self {
            pace,
            seed,
            next: 0,
            tokens,
            counted_from,
            first: None,
            last: None,
            computed: Duration::ZERO,
            cut: fate.cut.map(|fault| (middle(1), fault)),
            stall: fate.stall.map(|pause| (middle(2), pause)),
            due,
            sleep: Box::pin(sleep_until(due)),
            asleep: false,
            busy: seat.map(|seat| (seat, Decoding::start(truth))),
            local,
            outcome,
        }
    }

    pub(super) fn truth(&self) -> &Truth {
        &self.outcome.truth
    }

    /// Lets the next [`Decode::poll_awake`] wait.
    pub(super) fn pause(&mut self, pause: Duration) {
        self.sleep.as_mut().reset(Instant::now() + pause);
        self.asleep = true;
    }

    /// Sends the next token without waiting for its time.
    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    pub(super) fn poll_awake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.asleep {
            ready!(self.sleep.as_mut().poll(cx));
            self.asleep = false;
        }
        Poll::Ready(())
    }

    /// Waits for the next step. When the answer has ended or is cut, the slot is free.
    pub(super) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        ready!(self.poll_awake(cx));
        if self.due > Instant::now() {
            self.sleep.as_mut().reset(self.due);
            self.asleep = true;
            ready!(self.poll_awake(cx));
        }
        if let Some((at, pause)) = self.stall
            && at == self.next
        {
            self.stall = None;
            self.truth().count_fault(Fault::Stall);
            self.due += pause;
            return self.poll_step(cx);
        }
        if let Some((at, fault)) = self.cut
            && at == self.next
        {
            self.truth().count_fault(fault);
            self.busy = None;
            return Poll::Ready(Step::Cut(fault));
        }
        if self.next == self.tokens {
            self.busy = None;
            return Poll::Ready(Step::End);
        }
        let token = self.next;
        self.next += 1;
        self.truth().count_token();
        let now = Instant::now();
        let counted = token >= self.counted_from;
        if counted {
            self.first.get_or_insert(now);
        }
        self.last = Some(now);
        // In 0.12 the last record comes one interval after the last token.
        if self.next < self.tokens || !self.pace.version.runs_llama_server() {
            let streams = if self.local { self.truth().decoding() } else { 1 };
            let interval = self.pace.interval(streams, self.seed, token);
            self.due += interval;
            if counted {
                self.computed += interval.mul_f64(self.pace.computed_share(streams));
            }
        }
        Poll::Ready(Step::Token(token))
    }

    /// Returns `eval_duration` for the tokens so far: the time from the first to the last. 0.12 leaves out a part of
    /// it, and reports the smallest integer for a single token.
    pub(super) fn eval_nanos(&self) -> i64 {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match (self.pace.version, self.first.zip(self.last)) {
            (OllamaVersion::V0_12, _) if self.tokens - self.counted_from == 1 => i64::MIN,
            (OllamaVersion::V0_12, _) => nanos(self.computed),
            (_, Some((first, last))) => nanos(last.duration_since(first).max(ONE_TOKEN)),
            (_, None) => 0,
        }
    }

    /// Generates the rest without sending it. Returns how the answer ends.
    pub(super) async fn run(&mut self) -> Step {
        loop {
            match std::future::poll_fn(|cx| self.poll_step(cx)).await {
                Step::Token(_) => {}
                end => return end,
            }
        }
    }

    /// Notes that the answer was sent completely.
    pub(super) fn ended(&mut self) {
        self.outcome.ended();
    }

    /// Notes that a fault ended the answer.
    pub(super) fn settle(&mut self) {
        self.outcome.settle();
    }
}

impl Outcome {
    pub(super) fn new(truth: Arc<Truth>) -> Self {
        Self { truth, settled: false }
    }

    pub(super) fn ended(&mut self) {
        if !self.settled {
            self.settled = true;
            self.truth.count_ended();
        }
    }

    /// Notes an end that is neither complete nor caused by the client.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.settled {
            self.truth.count_cancelled();
        }
    }
}

impl Decoding {
    fn start(truth: &Arc<Truth>) -> Self {
        truth.decoding_started();
        Self(Arc::clone(truth))
    }
}

impl Drop for Decoding {
    fn drop(&mut self) {
        self.0.decoding_finished();
    }
}
