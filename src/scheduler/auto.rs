//! Finds the limit of an upstream with `max_streams = "auto"`. The module has no clock, no lock and no task.
//!
//! Two signals of finished streams decide. A hidden queue shows that Ollama has fewer slots than streams in flight. The
//! time that a slot is in use for each token, at each number of streams, shows whether another stream brings throughput. A limit rises by one, and
//! only after one stream above the limit has shown that it did not wait. So a limit that is right already costs one
//! stream a wait from time to time. After a limit was lowered, the next attempt to raise it waits, and longer each time.

mod curve;
mod families;
#[cfg(test)]
mod tests;

use std::time::Duration;

use curve::Curve;

pub(super) use families::{AutoFamilies, AutoMetrics};

/// The first limit, also after a restart.
pub(crate) const START: usize = 4;
/// The highest limit.
const MOST: usize = 512;
/// A raise needs at least this share of the throughput of an average stream from the last stream.
const GAIN: f64 = 0.05;
/// A limit is lowered if the last stream costs more than this share of the throughput of an average stream, by so many
/// standard errors. Each round decides anew, so two errors would be exceeded by chance every few minutes.
const LOSS: f64 = 0.02;
const LOSS_ERRORS: f64 = 3.0;
/// A shorter wait inside Ollama is no hidden queue.
const LEAST_QUEUE: f64 = 0.02;
/// The limit is lowered if at least this many streams wait inside Ollama on average.
const LEAST_INSIDE: f64 = 0.5;
/// The rounds without a hidden queue after which a raised limit counts as right.
const CONFIRMS: u8 = 3;
/// The rounds at a limit that was raised against the measurements.
const LOOK_UP_ROUNDS: u8 = 6;
/// The waits after attempts to raise the limit that met a hidden queue.
const QUEUE_WAITS: Waits = Waits { first: Duration::from_secs(5), longest: Duration::from_secs(60) };
/// The waits after the throughput or the floor lowered the limit, and between raises that may bring nothing.
const COST_WAITS: Waits = Waits { first: Duration::from_secs(60), longest: Duration::from_secs(600) };
/// The answers whose mean length is known.
const LENGTHS: u32 = 64;
/// The streams that end between two attempts to raise the limit, so that fewer than one in twenty has to wait.
const STREAMS_BETWEEN: u32 = 32;

/// Why the limit is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LimitReason {
    /// Nothing was measured yet.
    Start,
    /// One stream more did not wait inside Ollama, and throughput grows.
    Raised,
    /// Streams waited inside Ollama.
    HiddenQueue,
    /// Fewer streams bring more tokens per second.
    Throughput,
    /// The streams were slower than `min_tokens_per_second`.
    Floor,
    /// To compare the throughput with one stream less.
    Probe,
}

impl LimitReason {
    pub(crate) const ALL: [LimitReason; 6] = [
        LimitReason::Start,
        LimitReason::Raised,
        LimitReason::HiddenQueue,
        LimitReason::Throughput,
        LimitReason::Floor,
        LimitReason::Probe,
    ];

    /// The value of the label `reason`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            LimitReason::Start => "start",
            LimitReason::Raised => "raised",
            LimitReason::HiddenQueue => "hidden_queue",
            LimitReason::Throughput => "throughput",
            LimitReason::Floor => "floor",
            LimitReason::Probe => "probe",
        }
    }
}

/// The use of the slots while a stream held one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occupancy {
    /// The taken slots when the stream got its slot, its own included.
    pub(super) running: usize,
    /// The mean number of taken slots.
    pub(super) mean_running: f64,
    /// The time for which the stream held its slot, in seconds.
    pub(super) seconds: f64,
    /// The count of changes of the limit when the stream got its slot.
    pub(super) epoch: u64,
    /// The stream got the slot above the limit.
    pub(super) is_probe: bool,
}

/// The measurements of a stream that ended completely.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StreamCost {
    /// The wait inside Ollama, in seconds. `None`: Ollama did not report it.
    pub(crate) hidden: Option<f64>,
    /// The time of a token in seconds.
    pub(crate) token: Option<f64>,
    /// The time for which the stream used its slot before the first token, in seconds: without the hidden queue and
    /// without a load of the model.
    pub(crate) before: Option<f64>,
    /// The tokens of the answer.
    pub(crate) tokens: u64,
}

/// The mean number of tokens of the answers.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    mean: f64,
    count: u32,
}

impl Lengths {
    /// Adds an answer, and returns the mean, which is at least 1.
    fn mean_with(&mut self, tokens: u64) -> f64 {
        self.count = (self.count + 1).min(LENGTHS);
        self.mean += (tokens as f64 - self.mean) / f64::from(self.count);
        self.mean.max(1.0)
    }
}

/// A limit that follows what the upstream can do.
#[derive(Debug)]
pub(super) struct AutoLimit {
    limit: usize,
    floor: Option<f64>,
    reason: LimitReason,
    epoch: u64,
    attempt: Attempt,
    round: Round,
    curve: Curve,
    lengths: Lengths,
    /// The rounds that have to confirm the limit since it was raised.
    unconfirmed: u8,
    queue_wait: Duration,
    cost_wait: Duration,
    /// The earliest time of the next raise, of the next one that may bring nothing, and of the next comparison with a
    /// lower limit.
    next_raise: Duration,
    next_trial: Duration,
    next_look: Duration,
    streams_since: u32,
    /// The limit was lowered for a comparison at this time.
    looks_since: Option<Duration>,
    lost: f64,
    look_up: LookUp,
}

/// Tries one stream more than the measurements recommend, at most every ten minutes. The measurements of a number of streams
/// may be old, or from a short time.
#[derive(Clone, Copy, Debug, Default)]
struct LookUp {
    /// The earliest time of the next one.
    next: Duration,
    /// Whether the present attempt is one of these.
    is_tried: bool,
    /// The rounds that are left at the higher limit. After them the limit falls again, unless new measurements recommend it.
    rounds: u8,
}

impl LookUp {
    /// Notes a round. Returns whether it was the last one.
    fn ends(&mut self) -> bool {
        let was_running = self.rounds > 0;
        self.rounds = self.rounds.saturating_sub(1);
        was_running && self.rounds == 0
    }

    /// Notes that an attempt to raise the limit is made.
    fn tried(&mut self, now: Duration, is_against: bool) {
        self.is_tried = is_against;
        self.next = now.saturating_add(COST_WAITS.longest);
    }
}

/// The attempt to run one stream above the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    None,
    /// The next stream may get a slot above the limit.
    Open,
    /// That stream runs.
    Running,
}

/// Each longer than the one before, up to the longest.
#[derive(Clone, Copy, Debug)]
struct Waits {
    first: Duration,
    longest: Duration,
}

/// The measurements of the streams that got a slot since the last decision.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    streams: usize,
    /// The streams that got the last slot.
    full: usize,
    /// The streams whose hidden queue is known, the sum of their hidden queues, and the time for which they held slots.
    known: usize,
    hidden: f64,
    held: f64,
    /// The sum of the times of a token.
    token_seconds: f64,
}

impl Round {
    /// Returns the mean number of streams that wait inside Ollama while `limit` streams run, by Little's law. `None`: too
    /// few streams have ended.
    fn inside(&self, limit: usize) -> Option<f64> {
        (self.known >= limit.max(4) && self.held > 0.0).then(|| limit as f64 * self.hidden / self.held)
    }
}

impl AutoLimit {
    /// Starts at 4. No stream should get fewer than `floor` tokens per second.
    pub(super) fn new(floor: Option<u32>) -> AutoLimit {
        AutoLimit {
            limit: START,
            floor: floor.map(f64::from),
            reason: LimitReason::Start,
            epoch: 0,
            attempt: Attempt::None,
            round: Round::default(),
            curve: Curve::default(),
            lengths: Lengths::default(),
            unconfirmed: 0,
            queue_wait: QUEUE_WAITS.first,
            cost_wait: COST_WAITS.first,
            next_raise: Duration::ZERO,
            next_trial: Duration::ZERO,
            next_look: Duration::ZERO,
            streams_since: STREAMS_BETWEEN,
            looks_since: None,
            lost: 0.0,
            look_up: LookUp::default(),
        }
    }

    /// The number of streams that may run now, the one above the limit included.
    pub(super) fn slots(&self) -> usize {
        self.limit + usize::from(self.attempt == Attempt::Open)
    }

    /// The limit, without the stream above it.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Why the limit was last changed.
    pub(super) const fn reason(&self) -> LimitReason {
        self.reason
    }

    /// The count of changes of the limit.
    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The seconds that probing cost so far: the waits of streams above the limit, and the slots that comparisons left
    /// unused.
    pub(super) const fn lost(&self) -> f64 {
        self.lost
    }

    /// Notes that a stream got a slot, with which `running` are taken. Returns whether it is the one above the limit.
    pub(super) fn granted(&mut self, running: usize) -> bool {
        let is_probe = self.attempt == Attempt::Open && running > self.limit;
        if is_probe {
            self.attempt = Attempt::Running;
        }
        is_probe
    }

    /// Notes that the stream above the limit did not end completely, so that the next one may try.
    pub(super) fn abandoned(&mut self) {
        self.attempt = Attempt::None;
    }

    /// Takes in a stream that has ended completely.
    pub(super) fn ended(&mut self, now: Duration, seen: &Occupancy, cost: StreamCost) {
        if seen.is_probe {
            self.attempt = Attempt::None;
        }
        let is_queued = cost.hidden.map(|hidden| hidden > least_queue(seen, cost));
        if seen.is_probe {
            return self.probed(now, seen, is_queued == Some(true), cost.hidden.unwrap_or(0.0));
        }
        self.streams_since = self.streams_since.saturating_add(1);
        if seen.epoch != self.epoch {
            return;
        }
        let round = &mut self.round;
        let token = cost.token.or_else(|| (cost.tokens > 0).then(|| seen.seconds / cost.tokens as f64));
        if let Some(token) = token {
            // With the same length for all, answers of different length do not make the times vary.
            let slot_seconds = token + cost.before.unwrap_or(0.0) / self.lengths.mean_with(cost.tokens);
            // Streams above the limit wait inside Ollama and slow no other stream down.
            self.curve.observe((seen.mean_running.round().max(1.0) as usize).min(self.limit), slot_seconds);
            round.streams += 1;
            round.full += usize::from(seen.running >= self.limit);
            round.token_seconds += token;
        }
        if let Some(hidden) = cost.hidden {
            let least = LEAST_QUEUE.max(2.0 * token.unwrap_or(0.0));
            round.known += 1;
            round.hidden += if hidden > least { hidden } else { 0.0 };
            round.held += seen.seconds;
        }
        self.decide(now);
    }

    /// Decides after the stream above the limit has ended.
    fn probed(&mut self, now: Duration, seen: &Occupancy, is_queued: bool, hidden: f64) {
        self.streams_since = 0;
        if is_queued {
            self.lost += hidden;
            self.next_raise = now.saturating_add(QUEUE_WAITS.step(&mut self.queue_wait));
        } else if seen.epoch == self.epoch {
            self.streams_since = STREAMS_BETWEEN;
            let looks_up = self.look_up.is_tried;
            if looks_up {
                self.curve.forget_above(self.limit);
            }
            self.change(self.limit + 1, LimitReason::Raised);
            self.unconfirmed = CONFIRMS;
            self.look_up.rounds = if looks_up { LOOK_UP_ROUNDS } else { 0 };
        }
    }

    fn decide(&mut self, now: Duration) {
        let Round { streams, full, token_seconds, .. } = self.round;
        let limit = self.limit;
        if let Some(inside) = self.round.inside(limit).filter(|inside| *inside >= LEAST_INSIDE && limit > 1) {
            self.next_raise = now.saturating_add(QUEUE_WAITS.step(&mut self.queue_wait));
            self.streams_since = 0;
            let step = (inside.round() as usize).clamp(1, (limit / 4).max(1));
            self.curve.forget_above(limit - step);
            return self.change(limit - step, LimitReason::HiddenQueue);
        }
        if streams < limit.max(4) {
            return;
        }
        self.round = Round::default();
        if let Some(since) = self.looks_since.take() {
            self.lost += now.saturating_sub(since).as_secs_f64();
        }
        self.confirm();
        let rate = streams as f64 / token_seconds.max(1e-9);
        let gain = self.curve.gain(limit);
        let is_slow = self.floor.is_some_and(|floor| rate < floor);
        if self.look_up.ends() && limit > 1 && gain.is_some_and(|gain| gain.share < GAIN) {
            return self.change(limit - 1, LimitReason::Throughput);
        }
        let loses = gain.is_some_and(|gain| gain.share < -LOSS - LOSS_ERRORS * gain.error);
        if is_slow || loses && !self.curve.is_less_below(limit) {
            let reason = if is_slow { LimitReason::Floor } else { LimitReason::Throughput };
            if limit > 1 {
                self.next_raise = now.saturating_add(COST_WAITS.step(&mut self.cost_wait));
                let step = if is_slow { (limit / 8).max(1) } else { 1 };
                return self.change(limit - step, reason);
            }
            self.reason = reason;
            return;
        }
        if 2 * full < streams || self.attempt != Attempt::None {
            return;
        }
        // One stream more makes each slower by at most this.
        let slower = limit as f64 / (limit + 1) as f64;
        let is_likely = gain.is_none_or(|gain| gain.share >= GAIN + gain.error);
        let is_possible = gain.is_none_or(|gain| gain.share + gain.error >= GAIN) && now >= self.next_trial;
        let brings = (is_likely || is_possible || now >= self.look_up.next)
            && self.floor.is_none_or(|floor| rate * slower >= floor)
            && limit < MOST;
        if brings && now >= self.next_raise && self.streams_since >= STREAMS_BETWEEN {
            self.attempt = Attempt::Open;
            self.look_up.tried(now, !is_likely && !is_possible);
            if !is_likely {
                self.next_trial = now.saturating_add(COST_WAITS.step(&mut self.cost_wait));
            }
        } else if gain.is_none() && limit > 1 && now < self.next_raise && now >= self.next_look {
            // Nothing is known about other limits, and a higher one is out of reach.
            self.look_down(now);
        }
    }

    /// Notes a round without a hidden queue.
    fn confirm(&mut self) {
        if self.unconfirmed > 0 {
            self.unconfirmed -= 1;
            if self.unconfirmed == 0 {
                self.queue_wait = QUEUE_WAITS.first;
            }
        }
    }

    /// Lowers the limit by one to compare the throughput.
    fn look_down(&mut self, now: Duration) {
        self.next_look = now.saturating_add(COST_WAITS.longest);
        self.looks_since = Some(now);
        self.next_raise = now;
        self.streams_since = STREAMS_BETWEEN;
        self.change(self.limit - 1, LimitReason::Probe);
    }

    fn change(&mut self, limit: usize, reason: LimitReason) {
        self.limit = limit;
        self.reason = reason;
        self.epoch += 1;
        self.round = Round::default();
        self.unconfirmed = 0;
        self.look_up.rounds = 0;
    }
}

/// The shortest wait that counts as a hidden queue, in seconds. A stream that waits for a slot waits for the end of one
/// of the others, so a much shorter wait is that for a batch.
fn least_queue(seen: &Occupancy, cost: StreamCost) -> f64 {
    let share = seen.seconds / (4.0 * seen.running.max(1) as f64);
    share.max(2.0 * cost.token.unwrap_or(0.0)).max(LEAST_QUEUE)
}

impl Waits {
    /// Returns the present wait, and doubles it.
    fn step(self, wait: &mut Duration) -> Duration {
        let present = *wait;
        *wait = present.saturating_mul(2).min(self.longest);
        present
    }
}
