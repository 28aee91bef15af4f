//! Live traffic with planted rates.

use super::{
    super::{statistic::Random, *},
    *,
};

/// The time in which a stream of the planted Ollama makes one token, with this many streams: 10 ms alone, and 4 ms more for
/// each other stream.
fn token_time(streams: u32) -> f64 {
    0.010 + 0.004 * f64::from(streams - 1)
}

/// Adds `streams` streams of `tokens` tokens that begin together at `at`, as the sidecar records them, with roles in turn.
/// Each record is one token; the last record has none.
fn streams(recording: &mut Recording, at: f64, streams: u32, tokens: u32, roles: &[&str]) {
    let gap = token_time(streams);
    for number in 0..streams {
        let agent = recording.agents.len() as u32;
        let role = roles[number as usize % roles.len()];
        let generated = gap * f64::from(tokens - 1);
        recording.agents.push(Agent {
            agent,
            role: role.into(),
            model: "gemma3:270m".into(),
            started: at,
            duration: 0.5 + generated,
            first_token: Some(0.5),
            tokens: Some(tokens.into()),
            prompt_eval_duration: Some(0.2),
            load_duration: Some(0.1),
            served: Some(Box::new(Served {
                upstream: "gpu0".into(),
                route: "chat".into(),
                queue: Some(0.05),
                ..Served::default()
            })),
            ..Agent::default()
        });
        recording.chunks.extend((0..tokens).map(|token| Chunk {
            run: 0,
            agent,
            at: at + 0.5 + gap * f64::from(token),
            bytes: 100,
            records: 1,
            gap: if token == 0 { f64::NAN } else { gap },
            parse: f64::NAN,
            streams,
        }));
    }
}

fn traffic() -> Recording {
    let run = Run { condition: "live traffic".into(), kind: RunKind::Open, ..Run::default() };
    Recording { runs: vec![run], live: true, ..Recording::default() }
}

#[test]
fn live_traffic_shows_planted_rate_of_each_number_of_streams_and_planted_law() {
    let mut recording = traffic();
    let mut at = 0.0;
    for _ in 0..8 {
        for number in 1..=4 {
            streams(&mut recording, at, number, 200, &["gemma3:270m"]);
            at += 6.0;
        }
    }
    let live = analyse(&recording, &Settings::default()).live;
    let [group] = &live.groups[..] else { panic!("{live:?}") };
    assert_eq!((group.upstream.as_str(), group.requests, group.failed), ("gpu0", 8 * 10, 0));
    assert_eq!(group.levels.iter().map(|level| level.streams).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for level in &group.levels {
        let planted = 1.0 / token_time(level.streams);
        assert!((level.rate / planted - 1.0).abs() < 1e-9, "{level:?}");
        // Without noise, only rounding keeps the rate out of its interval.
        let interval = level.interval.unwrap().map(|end| (end * 1e6).round() / 1e6);
        assert!(interval.contains((planted * 1e6).round() / 1e6), "{level:?}");
        let seconds = 8.0 * f64::from(level.streams) * 199.0 * token_time(level.streams);
        assert!((level.seconds / seconds - 1.0).abs() < 1e-9, "{level:?}");
    }
    // N / (0.010 + 0.004 (N − 1)) is the law with λ = 100, σ = 0.4 and κ = 0.
    let scaling = group.scaling.unwrap();
    let near = |parameter: f64, planted: f64| (parameter - planted).abs() < 1e-6;
    assert!(near(scaling.one.value / 100.0, 1.0) && near(scaling.contention.value, 0.4), "{scaling:?}");
    assert!(near(scaling.coherency.value, 0.0), "{scaling:?}");
    let phase = |name: &str| group.phases.iter().find(|phase| phase.name == name).unwrap();
    assert_eq!((phase("queue").seconds.p50, phase("prompt evaluation").seconds.p99), (0.05, 0.2));
    assert!(phase("generation").share > 0.7 && group.phases.iter().all(|phase| phase.name != "hidden queue"));
}

#[test]
fn lost_time_is_divided_among_the_roles_that_ran_beside() {
    let mut recording = traffic();
    for round in 0..6 {
        let at = 20.0 * f64::from(round);
        streams(&mut recording, at, 1, 100, &["alice"]);
        // Alice has one stream beside two of Bob.
        streams(&mut recording, at + 5.0, 3, 100, &["bob", "alice", "bob"]);
    }
    let live = analyse(&recording, &Settings::default()).live;
    let lost = |slowed: &str, by: &str| {
        let found = live.slowdowns.iter().find(|found| found.slowed == slowed && found.by == by);
        found.map_or(0.0, |found| found.seconds)
    };
    // 99 gaps in each of six rounds lose 8 ms each.
    let one = 6.0 * 99.0 * 0.008;
    for (slowed, by, planted) in
        [("alice", "bob", one), ("bob", "alice", one), ("bob", "bob", one), ("alice", "alice", 0.0)]
    {
        assert!((lost(slowed, by) - planted).abs() < 1e-6, "{slowed} by {by}: {}", lost(slowed, by));
    }
    let alice = live.slowdowns.iter().find(|found| found.slowed == "alice" && found.by == "bob").unwrap();
    // Alone she generates for 0.99 s, and beside Bob for 1.782 s.
    assert!((alice.share - 0.792 / (0.99 + 1.782)).abs() < 1e-6, "{alice:?}");
}

#[test]
fn loss_beside_streams_that_were_not_recorded_is_named_so() {
    let mut recording = traffic();
    streams(&mut recording, 0.0, 1, 100, &["alice"]);
    streams(&mut recording, 10.0, 3, 100, &["alice"]);
    // Two of the three were not sampled.
    recording.agents.truncate(2);
    recording.chunks.retain(|chunk| chunk.agent < 2);
    let analysis = analyse(&recording, &Settings::default());
    let [_, note] = &analysis.notes[..] else { panic!("{:?}", analysis.notes) };
    assert!(note.starts_with("0.8 s of the lost time") && note.contains("`sample_ratio = 1`"), "{note}");
    let live = analysis.live;
    let [found] = &live.slowdowns[..] else { panic!("{live:?}") };
    assert_eq!((found.slowed.as_str(), found.by.as_str()), ("alice", "(not recorded)"));
    assert!((found.seconds - 99.0 * 0.008).abs() < 1e-6, "{found:?}");
}

#[test]
fn recording_of_experiment_has_no_live_traffic() {
    let mut recording = traffic();
    streams(&mut recording, 0.0, 2, 100, &["writer"]);
    recording.agents.iter_mut().for_each(|agent| agent.served = None);
    assert_eq!(analyse(&recording, &Settings::default()).live, Live::default());
}

#[test]
fn interval_of_rate_covers_the_truth_when_blocks_differ() {
    // The token time of a block is log-normal around its mean, and blocks have unequal numbers of tokens.
    for (blocks, spread) in [(12, 0.1), (30, 0.3)] {
        let (mut covered, mut shown) = (0_u32, 0);
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let mut recording = traffic();
            for block in 0..blocks {
                let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
                let time = 0.010 * (spread * normal - 0.5 * spread * spread).exp();
                let tokens = 20 + (60.0 * random.unit()) as u32;
                let first = recording.chunks.len();
                streams(&mut recording, 2.0 * f64::from(block), 1, tokens, &["alice"]);
                for chunk in &mut recording.chunks[first..] {
                    chunk.gap *= time / token_time(1);
                }
            }
            let live = Live::of(&recording, &Settings::default());
            let level = &live.groups[0].levels[0];
            shown += usize::from(level.interval.is_some());
            covered += u32::from(level.interval.is_some_and(|interval| interval.contains(100.0)));
        }
        let share = f64::from(covered) / 400.0;
        assert_eq!(shown, 400);
        // 95 % less three standard errors of 400 trials.
        assert!((0.917..=0.983).contains(&share), "{blocks} blocks, spread {spread}: {share}");
    }
}
