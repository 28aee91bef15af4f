//! Comparisons of live traffic whose truth is known.

use super::super::super::{
    Agent, Analysis, Chunk, Comparison, Evidence, Load, Measure, Outcome, Recording, Run, RunKind, Served,
    Settings, analyse, statistic::Random,
};

/// One night of traffic.
#[derive(Clone, Copy)]
struct Night<'a> {
    /// The numbers of streams of the rounds, in turn.
    mix: &'a [u32],
    rounds: u32,
    /// The time of a token, relative to the planted one.
    slowness: f64,
    /// The standard deviation of the time of a token in a round.
    noise: f64,
    /// Tokens per record.
    scale: u32,
    /// Whether Ollama counted the tokens.
    counted: bool,
}

const QUIET: Night<'_> =
    Night { mix: &[1, 1, 1, 2], rounds: 60, slowness: 1.0, noise: 0.05, scale: 1, counted: true };
const BUSY: Night<'_> = Night { mix: &[4, 3, 4, 2, 1], ..QUIET };
const RECORDS: u32 = 30;

/// Adds a night as the run with this number.
fn add(recording: &mut Recording, run: u32, night: Night<'_>, random: &mut Random) {
    let condition = name(run);
    recording.runs.push(Run { id: run, condition: condition.clone(), kind: RunKind::Open, ..Run::default() });
    let mut agent = 0;
    for round in 0..night.rounds {
        let streams = night.mix[round as usize % night.mix.len()];
        let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        // 10 ms alone, and 4 ms more for each other stream.
        let token = 0.010 + 0.004 * f64::from(streams - 1);
        let gap = f64::from(night.scale) * token * night.slowness * (1.0 + night.noise * normal);
        let at = 4.0 * f64::from(round);
        for _ in 0..streams {
            recording.agents.push(Agent {
                run,
                agent,
                role: "sim".into(),
                model: "sim".into(),
                started: at,
                duration: 0.1 + gap * f64::from(RECORDS),
                first_token: Some(0.1),
                tokens: night.counted.then_some(u64::from(RECORDS * night.scale)),
                served: Some(Box::new(Served {
                    upstream: "gpu0".into(),
                    route: "chat".into(),
                    ..Served::default()
                })),
                ..Agent::default()
            });
            recording.chunks.extend((0..RECORDS).map(|record| Chunk {
                run,
                agent,
                at: at + 0.1 + gap * f64::from(record),
                bytes: 100,
                records: 1,
                gap: if record == 0 { f64::NAN } else { gap },
                parse: f64::NAN,
                streams,
            }));
            agent += 1;
        }
    }
    let seconds = 4.0 * f64::from(night.rounds);
    recording.loads.push(Load { condition, rate: 1.0, seconds, recording: run, ..Load::default() });
}

fn name(run: u32) -> String {
    format!("night {run}")
}

fn compared(first: Night<'_>, later: Night<'_>, seed: u64) -> Analysis {
    let (mut recording, mut random) = (Recording { live: true, ..Recording::default() }, Random::new(seed));
    add(&mut recording, 0, first, &mut random);
    add(&mut recording, 1, later, &mut random);
    let mut analysis = analyse(&recording, &Settings::default());
    analysis.compare(&[(name(1), name(0))]);
    analysis
}

fn only(analysis: &Analysis) -> &Comparison {
    let [only] = &analysis.between.comparisons[..] else { panic!("{:?}", analysis.between) };
    only
}

#[test]
fn order_of_two_nights_changes_the_sign_of_their_difference_only() {
    let mut analysis = compared(QUIET, BUSY, 7);
    let weights = |analysis: &Analysis| -> Vec<f64> {
        analysis.between.live[0].levels.iter().map(|level| level.weight).collect()
    };
    let (forward, of_forward) = (only(&analysis).difference, weights(&analysis));
    analysis.compare(&[(name(0), name(1))]);
    let (backward, of_backward) = (only(&analysis).difference, weights(&analysis));
    assert!(forward.abs() > 1e-6 && (forward + backward).abs() < 1e-9, "{forward} {backward}");
    assert_eq!(of_forward, of_backward);
}

#[test]
fn other_mix_of_load_is_no_regression() {
    let analysis = compared(QUIET, BUSY, 1);
    let rate = |run: usize| {
        let levels = &analysis.live.groups[run].levels;
        let sum = |of: fn(&super::Level) -> f64| levels.iter().map(of).sum::<f64>();
        sum(|level| level.tokens) / sum(|level| level.seconds)
    };
    assert!(rate(1) < 0.7 * rate(0), "the mean over all streams differs: {} and {}", rate(0), rate(1));
    let found = only(&analysis);
    assert_eq!((found.measure, analysis.between.regressions().len()), (Measure::StreamRate, 0));
    assert!(found.interval.unwrap().contains(0.0), "{}", found.sentence());
    let [contrast] = &analysis.between.live[..] else { panic!("{:?}", analysis.between.live) };
    assert_eq!(contrast.levels.iter().map(|level| level.later.streams).collect::<Vec<_>>(), [1, 2]);
    let weights: f64 = contrast.levels.iter().map(|level| level.weight).sum();
    assert!((weights - 1.0).abs() < 1e-9);
}

#[test]
fn slower_night_with_another_mix_is_a_regression_of_the_planted_size() {
    let analysis = compared(QUIET, Night { slowness: 1.25, ..BUSY }, 2);
    let found = only(&analysis);
    assert_eq!(found.verdict, Outcome::Worse, "{}", found.sentence());
    // The weights decide how much of 100 and 71.4 tok/s is lost.
    let planted: f64 = analysis.between.live[0]
        .levels
        .iter()
        .map(|level| level.weight * (0.8 - 1.0) / (0.010 + 0.004 * f64::from(level.later.streams - 1)))
        .sum();
    assert!(found.interval.unwrap().contains(planted), "{planted}: {}", found.sentence());
    let regressions = analysis.between.regressions();
    let told = "night 1 (sim on gpu0) is worse than night 0 (sim on gpu0) in tokens per second of a stream at the same \
                concurrency";
    assert!(regressions[0].contains(told) && regressions[0].contains("blocks of time"), "{regressions:?}");
}

#[test]
fn nights_of_the_same_ollama_are_a_regression_in_at_most_one_of_twenty() {
    let found = (0..100).filter(|seed| {
        let analysis = compared(QUIET, BUSY, 100 + seed);
        assert!(only(&analysis).evidence.p().is_some(), "{:?}", analysis.between);
        !analysis.between.regressions().is_empty()
    });
    let found = found.count();
    // A regression is one side of a two-sided test, so half of the 5 % are expected; 5 % is beyond chance.
    assert!(found <= 5, "{found} of 100");
}

#[test]
fn recording_without_counts_of_tokens_is_compared_in_records_on_both_sides() {
    let first = Night { scale: 2, ..QUIET };
    let analysis = compared(first, Night { counted: false, ..first }, 3);
    let found = only(&analysis);
    assert_eq!(found.measure, Measure::RecordRate);
    assert!(found.interval.unwrap().contains(0.0), "{}", found.sentence());
    let groups = &analysis.live.groups;
    // In tokens and in records, the same traffic has rates that differ by a factor of two.
    assert!(groups[0].levels[0].rate > 1.8 * groups[1].levels[0].rate);
}

#[test]
fn nights_without_a_common_number_of_streams_are_not_compared() {
    let analysis = compared(QUIET, Night { mix: &[5], ..QUIET }, 4);
    assert_eq!(analysis.between.comparisons, []);
    let [apart] = &analysis.between.apart[..] else { panic!("{:?}", analysis.between) };
    assert!(apart.contains("no number of streams decoded at once in both"), "{apart}");
}

#[test]
fn short_recording_is_undecided_and_says_how_many_blocks_of_time_it_needs() {
    let analysis = compared(QUIET, Night { rounds: 3, slowness: 2.0, ..QUIET }, 5);
    let found = only(&analysis);
    assert!(matches!(found.evidence, Evidence::TooFew { have: 1..10, need: 10 }), "{found:?}");
    assert_eq!((found.verdict, analysis.between.regressions().len()), (Outcome::Undecided, 0));
    let told = found.verdict_sentence();
    assert!(told.contains("blocks of time are too few, 10 of each are needed"), "{told}");
    assert!(told.contains("times as long would decide"), "{told}");
}

#[test]
fn each_recording_has_blocks_of_time_of_its_own() {
    let alone = {
        let mut recording = Recording { live: true, ..Recording::default() };
        add(&mut recording, 0, QUIET, &mut Random::new(6));
        analyse(&recording, &Settings::default()).live.groups
    };
    let beside = compared(QUIET, Night { rounds: 600, ..QUIET }, 6).live.groups;
    assert_eq!(beside[0], alone[0]);
}

#[test]
fn stream_whose_last_chunks_were_not_recorded_does_not_raise_the_rate() {
    let mut recording = Recording { live: true, ..Recording::default() };
    add(&mut recording, 0, Night { mix: &[1], noise: 0.0, ..QUIET }, &mut Random::new(7));
    for agent in recording.agents.iter_mut().filter(|agent| agent.agent % 2 == 0) {
        agent.served.as_mut().unwrap().chunks = Some(RECORDS.into());
    }
    recording.chunks.retain(|chunk| chunk.agent % 2 == 1 || chunk.at % 4.0 < 0.3);
    let rate = analyse(&recording, &Settings::default()).live.groups[0].levels[0].rate;
    assert!((rate / 100.0 - 1.0).abs() < 1e-6, "{rate}");
}
