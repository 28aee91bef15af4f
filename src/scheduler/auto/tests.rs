//! The controller before a simple model of an Ollama, with as many requests waiting as it admits.

use std::cell::Cell;

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

/// An Ollama: its slots, and the time of a token at each number of streams that decode.
struct Model<F> {
    slots: usize,
    token: F,
    /// The tokens of each answer vary by this share, and so do the measured times.
    noise: f64,
    /// The time before the first token.
    before: f64,
    /// All streams together are slower or faster by about this share, for about a second.
    shared_noise: f64,
    shared: f64,
    seed: u64,
    now: f64,
    /// The slot seconds so far.
    taken_seconds: f64,
    running: Vec<Stream>,
}

struct Stream {
    granted: f64,
    begun: Option<f64>,
    tokens: f64,
    left: f64,
    taken_seconds: f64,
    seen: Occupancy,
}

/// The hidden queue of a stream that has ended, and the time of its tokens.
struct EndedStream {
    hidden: f64,
    token: f64,
}

impl<F: Fn(usize) -> f64> Model<F> {
    fn new(slots: usize, noise: f64, token: F) -> Model<F> {
        Model {
            slots,
            token,
            noise,
            before: 0.0,
            shared_noise: 0.0,
            shared: 0.0,
            seed: 1,
            now: 0.0,
            taken_seconds: 0.0,
            running: Vec::new(),
        }
    }

    /// A number from -1 to 1.
    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// An Ornstein-Uhlenbeck process with a memory of one second.
    fn change_shared_speed(&mut self, seconds: f64) {
        if self.shared_noise > 0.0 {
            let kept = (-seconds).exp();
            let normal = (0..3).map(|_| self.random()).sum::<f64>();
            self.shared = kept * self.shared + self.shared_noise * (1.0 - kept * kept).sqrt() * normal;
        }
    }

    fn has_slot(&self) -> usize {
        self.running.iter().filter(|stream| stream.begun.is_some()).count()
    }

    /// Returns when a stream sends, or will send, its first token.
    fn first_token(&self, stream: &Stream) -> Option<f64> {
        stream.begun.map(|begun| begun + self.before)
    }

    fn begin(&mut self) {
        for at in 0..self.running.len() {
            if self.running[at].begun.is_none() && self.has_slot() < self.slots {
                self.running[at].begun = Some(self.now);
            }
        }
    }

    /// Runs for so many seconds with at most `most` requests at once.
    fn run(&mut self, auto: &mut AutoLimit, seconds: f64, tokens: f64, most: usize) -> Vec<EndedStream> {
        let end = self.now + seconds;
        let mut ended = Vec::new();
        while self.now < end {
            while self.running.len() < auto.slots().min(most) {
                let running = self.running.len() + 1;
                let seen = Occupancy {
                    running,
                    mean_running: 0.0,
                    seconds: 0.0,
                    epoch: auto.epoch(),
                    is_probe: auto.granted(running),
                };
                let tokens = (tokens * (1.0 + self.noise * self.random())).max(2.0).round();
                let (granted, taken_seconds) = (self.now, self.taken_seconds);
                self.running.push(Stream { granted, begun: None, tokens, left: tokens, taken_seconds, seen });
            }
            self.begin();
            let decodes =
                |stream: &Stream| self.first_token(stream).is_some_and(|first| first <= self.now + 1e-9);
            let decoding = self.running.iter().filter(|stream| decodes(stream)).count();
            let token = (self.token)(decoding) * (1.0 + self.shared).max(0.4);
            let in_order = self.running.iter().enumerate().filter(|(_, stream)| decodes(stream));
            let next = in_order.min_by(|one, other| one.1.left.total_cmp(&other.1.left));
            let last = next.map(|(at, stream)| (at, stream.left * token));
            let starts = self.running.iter().filter(|stream| !decodes(stream));
            let start = starts.filter_map(|stream| self.first_token(stream)).min_by(f64::total_cmp);
            let until_start = start.map_or(f64::INFINITY, |start| start - self.now);
            let is_end = last.is_some_and(|(_, seconds)| seconds <= until_start);
            let seconds = last.map_or(until_start, |(_, seconds)| seconds.min(until_start));
            let moving: Vec<_> = self.running.iter().map(decodes).collect();
            self.now += seconds;
            self.change_shared_speed(seconds);
            self.taken_seconds += seconds * self.running.len() as f64;
            for (stream, _) in self.running.iter_mut().zip(moving).filter(|(_, moves)| *moves) {
                stream.left -= seconds / token;
            }
            let Some((at, _)) = last.filter(|_| is_end) else { continue };
            let Stream { granted, begun, tokens, taken_seconds, mut seen, .. } = self.running.remove(at);
            seen.seconds = self.now - granted;
            seen.mean_running = (self.taken_seconds - taken_seconds) / seen.seconds;
            let hidden = begun.unwrap() - granted;
            let decoded = self.now - begun.unwrap() - self.before;
            let token = decoded / tokens * (1.0 + self.noise / 4.0 * self.random());
            let cost = StreamCost {
                hidden: Some(hidden),
                token: Some(token),
                before: Some(self.before),
                tokens: tokens as u64,
            };
            auto.ended(Duration::from_secs_f64(self.now), &seen, cost);
            ended.push(EndedStream { hidden, token });
        }
        ended
    }
}

/// The time of a token by the Universal Scalability Law, with the peak of throughput at this number of streams.
fn peak_at(peak: f64) -> impl Fn(usize) -> f64 {
    move |streams| {
        let n = streams as f64;
        0.01 * (1.0 + 0.02 * (n - 1.0) + 0.98 / (peak * peak) * n * (n - 1.0))
    }
}

#[test]
fn limit_is_the_slots_of_ollama_and_few_streams_wait_inside() {
    for slots in [1, 2, 3, 4, 6, 12] {
        let mut model = Model::new(slots, 0.3, |_| 0.01);
        let mut auto = AutoLimit::new(None);
        model.run(&mut auto, 60.0, 100.0, 1_000);
        assert_eq!(auto.limit(), slots);
        let ended = model.run(&mut auto, 600.0, 100.0, 1_000);
        assert_eq!(auto.limit(), slots);
        let waited = ended.iter().filter(|one| one.hidden > 2.0 * one.token).count();
        assert!(20 * waited < ended.len(), "{waited} of {} at {slots} slots", ended.len());
        assert!(auto.lost() > 0.0, "probing is not free");
    }
}

#[test]
fn change_of_the_slots_is_followed_within_two_minutes() {
    let mut model = Model::new(4, 0.3, |_| 0.01);
    let mut auto = AutoLimit::new(None);
    for slots in [4, 8, 4, 1, 8] {
        model.slots = slots;
        model.run(&mut auto, 120.0, 150.0, 1_000);
        assert_eq!(auto.limit(), slots);
        model.run(&mut auto, 600.0, 150.0, 1_000);
        assert_eq!(auto.limit(), slots);
    }
}

#[test]
fn limit_settles_where_throughput_peaks() {
    let mut model = Model::new(64, 0.3, peak_at(16.0));
    let mut auto = AutoLimit::new(None);
    model.run(&mut auto, 600.0, 100.0, 1_000);
    for _ in 0..60 {
        model.run(&mut auto, 60.0, 100.0, 1_000);
        assert!((13..=19).contains(&auto.limit()), "{}", auto.limit());
    }
}

/// A GPU as measured with one H200, a small model and 16 slots. Each stream on it brings throughput up to the slots.
#[test]
fn limit_rises_although_streams_that_run_together_are_slow_together() {
    let token = |streams: usize| 0.0046 + 0.00143 * (streams.max(1) as f64 - 1.0);
    for (seconds, low, median) in [(60.0, 9, 11), (180.0, 12, 14), (600.0, 14, 16)] {
        let mut limits: Vec<_> = (1..=21)
            .map(|seed| {
                let mut model = Model::new(16, 0.1, token);
                (model.before, model.shared_noise, model.seed) = (0.19, 0.12, seed);
                let mut auto = AutoLimit::new(None);
                model.run(&mut auto, seconds, 64.0, 1_000);
                auto.limit()
            })
            .collect();
        limits.sort_unstable();
        // 14 streams bring 97 % of the throughput of 16, and 9 streams 83 %.
        assert!(limits[5] >= low && limits[10] >= median, "after {seconds} s: {limits:?}");
    }
}

#[test]
fn limit_goes_below_the_slots_and_the_start_if_fewer_streams_bring_more() {
    let mut model = Model::new(4, 0.2, peak_at(1.5));
    let mut auto = AutoLimit::new(None);
    model.run(&mut auto, 300.0, 100.0, 1_000);
    for _ in 0..20 {
        model.run(&mut auto, 60.0, 100.0, 1_000);
        assert!((1..=2).contains(&auto.limit()), "{}", auto.limit());
    }
}

#[test]
fn floor_keeps_streams_fast_and_one_that_no_stream_reaches_leaves_one() {
    // 100 tokens per second alone, and less with each further stream.
    let token = |streams: usize| 0.01 * (1.0 + 0.1 * (streams as f64 - 1.0));
    for (floor, limits) in [(50, 10..=11), (90, 1..=2), (10_000, 1..=1)] {
        let mut model = Model::new(64, 0.2, token);
        let mut auto = AutoLimit::new(Some(floor));
        model.run(&mut auto, 900.0, 100.0, 1_000);
        assert!(limits.contains(&auto.limit()), "{} at floor {floor}", auto.limit());
        if floor == 10_000 {
            assert_eq!(auto.reason(), LimitReason::Floor);
        }
    }
}

#[test]
fn limit_does_not_move_without_demand() {
    let mut model = Model::new(4, 0.3, |_| 0.01);
    let mut auto = AutoLimit::new(None);
    model.run(&mut auto, 600.0, 100.0, 3);
    assert_eq!((auto.limit(), auto.reason(), auto.epoch()), (4, LimitReason::Start, 0));
}

#[test]
fn stream_above_the_limit_that_tells_nothing_is_tried_again() {
    let mut auto = AutoLimit::new(None);
    let seen = |auto: &AutoLimit| Occupancy {
        running: 4,
        mean_running: 4.0,
        seconds: 1.0,
        epoch: auto.epoch(),
        is_probe: false,
    };
    let cost = StreamCost { hidden: Some(0.0), token: Some(0.01), before: None, tokens: 100 };
    for attempt in 0..3 {
        for _ in 0..4 {
            let full = seen(&auto);
            auto.ended(Duration::from_secs(attempt), &full, cost);
        }
        assert_eq!(auto.slots(), 5);
        assert!(!auto.granted(4));
        assert!(auto.granted(5));
        assert_eq!(auto.slots(), 4, "one stream only");
        auto.abandoned();
    }
    assert_eq!((auto.limit(), auto.epoch()), (4, 0));
}

/// The time of a token of a random Ollama.
fn any_token() -> impl Strategy<Value = (f64, f64, f64)> {
    (0.002_f64..0.05, 0.0_f64..0.5, prop_oneof![Just(0.0), 0.0005_f64..0.05])
}

/// The course of a limit that has had time to settle.
struct Settled {
    low: usize,
    high: usize,
    /// The changes from one direction to the other.
    turns: usize,
    minutes: f64,
    /// The throughput at the lowest limit, as a share of the best.
    share: f64,
    changes: Vec<(f64, usize, LimitReason)>,
}

/// An Ollama with these slots. `alone`, `share` and `crowd` are the parameters of the time of a token.
fn settled(
    slots: usize,
    (alone, share, crowd): (f64, f64, f64),
    noise: f64,
    tokens: f64,
    seed: u64,
) -> Settled {
    let token = move |streams: usize| {
        let n = streams as f64;
        alone * (1.0 + share * (n - 1.0) + crowd * n * (n - 1.0))
    };
    let mut model = Model::new(slots, noise, token);
    model.seed = seed;
    let mut auto = AutoLimit::new(None);
    // Long enough for each limit on the way.
    let stream = tokens * token(slots);
    model.run(&mut auto, 150.0 * stream + 600.0, tokens, 1_000);
    let mut limits = vec![auto.limit()];
    let mut changes = Vec::new();
    let began = model.now;
    for _ in 0..200 {
        model.run(&mut auto, stream, tokens, 1_000);
        if auto.limit() != *limits.last().unwrap() {
            limits.push(auto.limit());
            changes.push((model.now - began, auto.limit(), auto.reason()));
        }
    }
    let turns = limits.windows(3).filter(|three| (three[0] < three[1]) != (three[1] < three[2])).count();
    let throughput = |streams: usize| streams as f64 / token(streams);
    let best = (1..=slots).map(throughput).fold(0.0, f64::max);
    let (low, high) = (*limits.iter().min().unwrap(), *limits.iter().max().unwrap());
    let minutes = (model.now - began) / 60.0;
    Settled { low, high, turns, minutes, share: throughput(low) / best, changes }
}

#[test]
fn change_that_streams_at_the_present_limit_do_not_show_is_found_within_half_an_hour() {
    // Throughput peaks at 8 streams. Then further streams are free, and those that run are as fast as before.
    let (peak, flat) = (peak_at(8.0), Cell::new(None));
    let token = |streams| flat.get().unwrap_or_else(|| peak(streams));
    let mut model = Model::new(28, 0.3, token);
    let mut auto = AutoLimit::new(None);
    model.run(&mut auto, 1_800.0, 100.0, 1_000);
    let before = auto.limit();
    assert!((6..=10).contains(&before), "{before}");
    flat.set(Some(peak(before)));
    model.run(&mut auto, 1_800.0, 100.0, 1_000);
    assert!(auto.limit() >= 24, "{} after {before}, with 28 slots", auto.limit());
}

proptest! {
    // The cases are the same in each run. Of 85,000 random ones, two broke a bound: a comparison with one slot less happened
    // while the test looked, and noise lowered a limit for some minutes.
    #![proptest_config(ProptestConfig { cases: 128, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Once it had time to settle, the limit turns rarely, and its throughput is near the best one.
    #[test]
    fn limit_does_not_oscillate(
        slots in 1_usize..40,
        token in any_token(),
        noise in 0.0_f64..0.6,
        tokens in 40.0_f64..400.0,
        seed in 0_u64..1_000_000,
    ) {
        let Settled { low, high, turns, minutes, share, changes } = settled(slots, token, noise, tokens, seed);
        prop_assert!(high <= slots + 2 + slots / 8, "{low} to {high} at {slots} slots: {changes:?}");
        prop_assert!(turns as f64 <= 6.0 + 2.0 * minutes, "{turns} turns in {minutes} min: {changes:?}");
        prop_assert!(share >= 0.85, "{low} to {high} at {slots} slots: {changes:?}");
    }
}
